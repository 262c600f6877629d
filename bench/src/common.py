"""What the drivers in Python share: arguments, checks, the measured window, the line with the
result, timers. See bench.h and timers.h. SPDX-License-Identifier: MIT"""
import ctypes
import json
import os
import random
import struct
import sys
import time

# When the first timer is due, as a part of the span: none may be due while timers are created and
# cancelled.
FIRST, HOUR = 0.2, 3600


LOAD = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                '../../build/bench/libload.so'))


def memory(file, key):
    """The sum of the lines "KEY...: number kB" of a file, in bytes."""
    with open(file) as f:
        return 1024 * sum(int(line.split()[1]) for line in f if line.startswith(key))


def private_bytes():
    return memory('/proc/self/smaps_rollup', 'Private_')


def percentile(values, part):
    return sorted(values)[int(len(values) * part)]


def missed_periods(ticks, period):
    """As in bench.c."""
    missed = first = 0
    for i in range(1, len(ticks)):
        passed = (ticks[i] - ticks[first]) / period
        if abs(passed - round(passed)) <= 0.25:
            missed = max(0, missed + round(passed) - (i - first))
            first = i
    return missed


class Run:
    """The arguments WORKLOAD [KEY=VALUE...], and what is measured."""

    def __init__(self):
        self.workload = sys.argv[1]
        keys = dict(argument.split('=', 1) for argument in sys.argv[2:])
        self.endpoint = keys.get('endpoint')
        self.load = keys.get('load')
        self.size, self.checked, self.counted, self.idle, self.connect = (
            int(keys.get(key, default)) for key, default in
            [('size', 16), ('checked', 1), ('counted', 1), ('idle', 0), ('connect', 0)])
        self.span = int(keys.get('span_ms', 1000)) / 1000
        self.pattern = bytes((i * 131 + 7) % 256 for i in range(self.size))
        self.seen = self.received = 0
        self.figures = {}
        self.start = self.end = self.argv = None

    def begin(self):
        self.start = time.perf_counter(), time.process_time(), time.thread_time()

    def finish(self):
        self.end = time.perf_counter(), time.process_time(), time.thread_time()

    def message(self, number):
        return struct.pack('=Q', number) + self.pattern[8:]

    def count(self, size):
        """Counts a message as bench_count() does; true for the last."""
        self.seen += 1
        self.received += size
        if self.seen == self.checked:
            self.begin()
        elif self.seen == self.checked + self.counted:
            self.finish()
            return True
        return False

    def flood(self, i):
        """The i-th message of a flood, as bench_flood_number() says."""
        last = self.checked + self.counted - 1
        return self.message(i if i < self.checked or i == last else self.checked)

    def take(self, frames):
        """Counts and checks a message as bench_take() does; true for the last."""
        if self.seen < self.checked or self.seen == self.checked + self.counted - 1:
            if frames != [self.message(self.seen)]:
                sys.exit('message %d is wrong' % self.seen)
        return self.count(len(frames[0]))

    def start_load(self, context):
        """Starts the load, if there is one, on a thread of its own."""
        if self.load:
            arguments = [os.fsencode(argument) for argument in sys.argv]
            # Kept alive: the load borrows the strings.
            self.argv = (ctypes.c_char_p * len(arguments))(*arguments)
            LOAD.pyload_start(len(arguments), self.argv, ctypes.c_void_p(context.underlying))

    def join_load(self):
        if not self.load:
            return
        LOAD.pyload_join()
        value = ctypes.c_double()
        LOAD.pyload_figure.restype = ctypes.c_char_p
        while name := LOAD.pyload_figure(len(self.figures), ctypes.byref(value)):
            self.figures[name.decode()] = value.value

    def add_ticks(self, ticks, start, period):
        jitter = [abs(b - a - period) for a, b in zip(ticks, ticks[1:])]
        missed = missed_periods(ticks, period)
        periods = len(ticks) - 1 + missed
        self.figures.update(
            jitter_p50_us=percentile(jitter, 0.5) * 1e6,
            jitter_p99_us=percentile(jitter, 0.99) * 1e6,
            drift_ms=(ticks[-1] - ticks[0] - periods * period) * 1e3, missed=missed,
            first_late_us=(ticks[0] - start - period) * 1e6)

    def report(self):
        self.join_load()
        if self.received != self.seen * self.size:
            sys.exit('%d bytes in %d messages' % (self.received, self.seen))
        wall, process, thread = (b - a for a, b in zip(self.start, self.end))
        print(json.dumps({'messages': self.counted, 'seconds': wall, 'cpu_s': process,
                          'loop_cpu_s': thread,
                          'peak_kb': memory('/proc/self/status', 'VmHWM:') / 1024,
                          **self.figures}))


def timers(run, peer):
    """Runs a workload of timers.h or timers.lua; false if it is none of them. The peer
    has create(delay, fn), cancel(handle), run(), stop(), every(period, fn), next_tick(fn)."""
    workloads = {
        'timers': lambda: one_shot(run, peer, due=False, cancels=True),
        'due': lambda: one_shot(run, peer, due=True, cancels=True),
        'all_due': lambda: one_shot(run, peer, due=True, cancels=False),
        'pending': lambda: pending(run, peer),
        'periodic': lambda: periodic(run, peer),
        'chain': lambda: chain(run, peer),
        'batch': lambda: batch(run, peer),
    }
    if run.workload not in workloads:
        return False
    workloads[run.workload]()
    return True


def one_shot(run, peer, due, cancels):
    random.seed(42)
    delays = [(FIRST + random.random()) * run.span for _ in range(run.counted)]
    expected = (run.counted + 9) // 10 if cancels else run.counted
    fired = 0

    def on_wanted():
        nonlocal fired
        fired += 1
        if fired == expected:
            peer.stop()

    def on_cancelled():
        sys.exit('a cancelled timer fired')

    handles = [None] * run.counted
    before = private_bytes()
    start = time.thread_time()
    for i, delay in enumerate(delays):
        handles[i] = peer.create(delay, on_cancelled if cancels and i % 10 else on_wanted)
    run.figures['create_ns'] = (time.thread_time() - start) / run.counted * 1e9
    run.figures['bytes'] = (private_bytes() - before) / run.counted
    if cancels:
        start = time.thread_time()
        for i, handle in enumerate(handles):
            if i % 10:
                peer.cancel(handle)
        run.figures['cancel_ns'] = (time.thread_time() - start) / (run.counted - expected) * 1e9
    del handles
    if due:
        time.sleep((FIRST + 1) * run.span)
    run.begin()
    peer.run()
    run.finish()
    run.figures['fire_ns'] = (run.end[2] - run.start[2]) / expected * 1e9
    if fired != expected:
        sys.exit('%d of %d timers fired' % (fired, expected))


def pending(run, peer):
    def early():
        sys.exit('a timer fired an hour early')
    handles = [peer.create(HOUR, early) for _ in range(run.counted)]
    peer.create(run.span, peer.stop)
    run.begin()
    peer.run()
    run.finish()
    for handle in handles:
        peer.cancel(handle)


def periodic(run, peer):
    ticks = []

    def tick():
        ticks.append(time.perf_counter())
        if len(ticks) == run.counted:
            peer.stop()
    start = time.perf_counter()
    peer.every(1e-3, tick)
    run.begin()
    peer.run()
    run.finish()
    run.add_ticks(ticks[:run.counted], start, 1e-3)


def chain(run, peer):
    seen = 0

    def step():
        nonlocal seen
        seen += 1
        if seen == run.counted:
            peer.stop()
        else:
            peer.next_tick(step)
    peer.next_tick(step)
    run.begin()
    peer.run()
    run.finish()
    if seen != run.counted:
        sys.exit('%d of %d callbacks came' % (seen, run.counted))


def batch(run, peer):
    seen = 0

    def count():
        nonlocal seen
        seen += 1
        if seen == run.counted:
            peer.stop()
    run.begin()
    for _ in range(run.counted):
        peer.next_tick(count)
    peer.run()
    run.finish()
    if seen != run.counted:
        sys.exit('%d of %d callbacks came' % (seen, run.counted))
