"""Runs benchmark cases and prints their tables: see README.md.

SPDX-License-Identifier: MIT
"""
import argparse
import collections
import json
import os
import resource
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
BUILD = os.path.join(ROOT, 'build')
DRIVERS = os.path.join(BUILD, 'bench')
SIZE = 16
TIMEOUT = 60

CORES = sorted(os.sched_getaffinity(0))
PEER_CORE, LOAD_CORE = CORES[-1], CORES[0]


def lua(interpreter, version):
    """A driver in Lua with the module of build/bench-VERSION."""
    return [
        'env',
        'LUA_PATH=%s/lua/?.lua;%s/lua/?/init.lua' % (ROOT, ROOT),
        'LUA_CPATH=%s/bench-%s/?.so;%s/%s/?.so' % (BUILD, version, DRIVERS, version),
        interpreter,
        os.path.join(HERE, 'peers', 'zmqloop.lua'),
    ]


PEERS = {
    'raw': [os.path.join(DRIVERS, 'raw')],
    'zmqloop 5.4': lua('lua5.4', '5.4'),
    'zmqloop luajit': lua('luajit', 'luajit'),
    'core': [os.path.join(DRIVERS, 'core')],
    'zloop': [os.path.join(DRIVERS, 'zloop')],
    'zmqstream': ['/usr/bin/python3', os.path.join(HERE, 'peers', 'zmqstream.py')],
}

# What the peer is told to do, the mode of the load generator, the transport, and
# whether the load has a core of its own. A wake-up across cores takes as long as
# a round trip, so peers that ping-pong share one core with the load.
Workload = collections.namedtuple('Workload', 'task load transport split')
WORKLOADS = {
    'sink': Workload('sink', 'push', 'tcp', True),
    'numbered': Workload('sink', 'number', 'tcp', True),
    'echo': Workload('echo', 'req', 'ipc', False),
}

# One line of a table. `base` names the line that it is compared to in the same
# repetition; `target` is what the ratio should reach.
Line = collections.namedtuple('Line', 'name peer workload count idle base target',
                              defaults=(0, None, None))


def sink():
    base = 'C zmq_msg_recv'
    return [
        Line(base, 'raw', 'sink', 8000000),
        Line('zmqloop C', 'core', 'sink', 8000000, 0, base),
        Line('zmqloop 5.4', 'zmqloop 5.4', 'sink', 4000000, 0, base, 0.40),
        Line('zmqloop luajit', 'zmqloop luajit', 'sink', 4000000, 0, base, 0.55),
        Line('zmqloop 5.4, numbered', 'zmqloop 5.4', 'numbered', 4000000, 0, base),
        Line('zmqloop luajit, numbered', 'zmqloop luajit', 'numbered', 4000000, 0, base),
        Line('czmq zloop', 'zloop', 'sink', 1000000, 0, base),
        Line('pyzmq ZMQStream', 'zmqstream', 'sink', 60000, 0, base),
    ]


def idle():
    lines = []
    for peer, workload, alone, crowded, target in [
            ('zmqloop 5.4', 'echo', 20000, 20000, 0.90),
            ('zmqloop luajit', 'echo', 20000, 20000, 0.90),
            ('zloop', 'echo', 20000, 1000, None),
            ('zmqloop 5.4', 'sink', 2000000, 2000000, 0.90),
            ('zmqloop luajit', 'sink', 2000000, 2000000, 0.90),
            ('zloop', 'sink', 1000000, 1000, None)]:
        name = '%s, %s' % (peer, workload)
        lines.append(Line(name, peer, workload, alone))
        lines.append(Line(name + ', 1,000 idle', peer, workload, crowded, 1000, name, target))
    return lines


# name -> title, lines
CASES = {
    'sink': ('PUSH to PULL over tcp, 16 bytes, a callback per message; ratios to C', sink),
    'idle': ('one active socket among 1,000 registered idle ones; ratios to it alone', idle),
}


class Wrong(Exception):
    """A run that failed, or whose counts or contents were wrong."""


def start(command, core):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: os.sched_setaffinity(0, {core}))


def finish(processes):
    """Waits until all have ended, or one has failed; returns the JSON of each."""
    deadline = time.monotonic() + TIMEOUT
    while any(p.poll() is None for p in processes) and not any(p.poll() for p in processes):
        if time.monotonic() > deadline:
            raise Wrong('no end after %d s' % TIMEOUT)
        time.sleep(0.02)
    for p in processes:
        if p.poll():
            error = p.stderr.read().strip().split('\n')[0]
            raise Wrong('%s: exit status %d: %s' % (p.args[0], p.poll(), error))
    return [json.loads(p.stdout.read()) for p in processes]


def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]


def run(line, count, directory, under=()):
    """Runs a line's peer (`under` a tool) and its load; returns what both printed."""
    workload = WORKLOADS[line.workload]
    endpoint = 'ipc://%s/echo' % directory
    if workload.transport == 'tcp':
        endpoint = 'tcp://127.0.0.1:%d' % free_port()
    checked = max(100, count // 20)
    arguments = [endpoint, str(SIZE), str(checked), str(count)]
    peer = [*under, *PEERS[line.peer], workload.task, *arguments, str(line.idle)]
    load = [os.path.join(DRIVERS, 'load'), workload.load, *arguments]
    load_core = LOAD_CORE if workload.split else PEER_CORE
    processes = [start(peer, PEER_CORE), start(load, load_core)]
    try:
        result, sent = finish(processes)
    finally:
        for p in processes:
            p.kill()
            p.communicate()
    if result['messages'] != count or sent['messages'] != count:
        raise Wrong('%d sent, %d arrived of %d' % (sent['messages'], result['messages'], count))
    return {**sent, **result}


def spread(values, form):
    """Median (min-max), or - without values."""
    if not values:
        return '-'
    low, high = form(min(values)), form(max(values))
    return '%s (%s - %s)' % (form(statistics.median(values)), low, high)


def rate(value):
    return '%.2f M' % (value / 1e6) if value >= 1e6 else '%.1f k' % (value / 1e3)


def ratios(line, runs, figure):
    """The line's figure by its base's, for each repetition that has both."""
    return [figure(a) / figure(b) for a, b in zip(runs[line.name], runs[line.base]) if a and b]


def per_second(run):
    return run['messages'] / run['seconds']


def per_cpu_second(run):
    return run['messages'] / run['cpu_s']


def table(lines, runs):
    """Rows of text, the header first."""
    yield 'case', 'messages/s', 'ratio', 'CPU ns', 'ratio', 'target', ''
    for line in lines:
        good = [r for r in runs[line.name] if r]
        row = [line.name, spread([per_second(r) for r in good], rate), '',
               spread([1e9 / per_cpu_second(r) for r in good], '{:.0f}'.format), '', '', '']
        if line.base:
            both = [ratios(line, runs, figure) for figure in (per_second, per_cpu_second)]
            row[2], row[4] = (spread(values, '{:.3f}'.format) for values in both)
            if line.target and all(both):
                met = all(statistics.median(values) >= line.target for values in both)
                row[5:] = '%.2f' % line.target, 'met' if met else 'missed'
        yield row


def print_table(rows):
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in rows:
        print('  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


def run_case(name, repetitions, scale, directory):
    """Runs and prints a case; returns the number of wrong runs."""
    title, lines = CASES[name][0], CASES[name][1]()
    print('\n%s: %s; medians (least - greatest) of %d repetitions' % (name, title, repetitions),
          flush=True)
    runs = {line.name: [] for line in lines}
    wrong = 0
    for repetition in range(repetitions):
        # Lines that are compared stay neighbours; which comes first alternates.
        for line in lines if repetition % 2 == 0 else reversed(lines):
            try:
                count = max(200, int(line.count * scale))
                runs[line.name].append(run(line, count, directory))
            except Wrong as error:
                runs[line.name].append(None)
                wrong += 1
                print('WRONG %s: %s' % (line.name, error), file=sys.stderr)
    print_table(table(lines, runs))
    os.makedirs(os.path.join(HERE, 'results'), exist_ok=True)
    with open(os.path.join(HERE, 'results', name + '.json'), 'w') as f:
        json.dump({'case': name, 'title': title, 'machine': ' '.join(os.uname()[2:]),
                   'cores': len(CORES), 'runs': runs}, f, indent=1)
    return wrong


def main():
    parser = argparse.ArgumentParser(prog='scripts/bench')
    parser.add_argument('cases', metavar='CASE', nargs='*', help=', '.join(CASES))
    parser.add_argument('--repetitions', type=int, default=7)
    parser.add_argument('--scale', type=float, default=1.0, help='of the numbers of messages')
    options = parser.parse_args()
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error('no case %s; there are %s' % (unknown[0], ', '.join(CASES)))
    # The idle sockets take a descriptor each.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as directory:
        wrong = sum(run_case(name, options.repetitions, options.scale, directory)
                    for name in options.cases or CASES)
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
