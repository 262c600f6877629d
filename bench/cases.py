"""The cases: what is measured, with which peers, and what the ratios should reach.

SPDX-License-Identifier: MIT
"""
import collections

# What the driver is told to do; the mode of the load generator, the transport, and whether the
# load has a core of its own. A wake-up across cores takes as long as a round trip, so peers that
# ping-pong share one core with the load.
Workload = collections.namedtuple('Workload', 'task load transport split options',
                                  defaults=(None, None, False, {}))

# One line of a table; base names the line to compare it to, by default the table's.
Line = collections.namedtuple('Line', 'name peer workload count options base',
                              defaults=({}, None))

# A column. value is what to take from a run; with less, less is better. ratio: print that to the
# base, too.
Figure = collections.namedtuple('Figure', 'title value form less ratio', defaults=(False, True))

# What the medians of a line's figures should reach: `bound` times as good as those of the line
# `base`, or without one, `bound` itself.
Target = collections.namedtuple('Target', 'line figures bound base', defaults=(None,))

Table = collections.namedtuple('Table', 'name title lines figures base targets')


def count_form(value):
    for size, unit in ((1e6, ' M'), (1e3, ' k')):
        if abs(value) >= size:
            return '%.3g%s' % (value / size, unit)
    return '%.3g' % value


def key(name, factor=1.0):
    return lambda run: run[name] * factor if name in run else None


RATE = Figure('per second', lambda run: run['messages'] / run['seconds'], count_form)
CPU = Figure('CPU ns', lambda run: run['cpu_s'] / run['messages'] * 1e9, '{:.0f}'.format, True)
PEAK = Figure('peak MiB', key('peak_kb', 1 / 1024), '{:.1f}'.format, True, False)
CPU_SECONDS = Figure('CPU s', key('cpu_s'), '{:.2f}'.format, True, False)

# ---- messages ----------------------------------------------------------------------------------

SINK = Workload('sink', 'push', 'tcp', True)
NUMBERED = Workload('sink', 'number', 'tcp', True)
ECHO = Workload('echo', 'req', 'ipc', False)
ZMQ = 'C zmq_msg_recv'


def sink():
    lines = [
        Line(ZMQ, 'raw', SINK, 8000000),
        Line('zmqloop C', 'zmqloop C', SINK, 8000000),
        Line('zmqloop 5.4', 'zmqloop 5.4', SINK, 4000000),
        Line('zmqloop luajit', 'zmqloop luajit', SINK, 4000000),
        Line('zmqloop 5.4, unpack', 'zmqloop 5.4', SINK, 4000000, {'unpack': 1}),
        Line('zmqloop luajit, unpack', 'zmqloop luajit', SINK, 4000000, {'unpack': 1}),
        Line('zmqloop 5.4, numbered', 'zmqloop 5.4', NUMBERED, 4000000),
        Line('zmqloop luajit, numbered', 'zmqloop luajit', NUMBERED, 4000000),
        Line('czmq zloop', 'zloop', SINK, 1000000),
        Line('PyZMQ ZMQStream', 'ZMQStream', SINK, 60000),
    ]
    both = (RATE, CPU)
    yield Table('sink', 'PUSH to PULL over tcp, 16 bytes, a callback per message', lines,
                [RATE, CPU, CPU_SECONDS, PEAK], ZMQ,
                [Target('zmqloop 5.4', both, 0.48, ZMQ),
                 Target('zmqloop luajit', both, 0.72, ZMQ),
                 Target('zmqloop 5.4, unpack', both, 0.70, ZMQ),
                 Target('zmqloop luajit, unpack', both, 0.90, ZMQ)])


def idle():
    lines, targets = [], []
    for peer, workload, alone, crowded in [
            ('zmqloop 5.4', ECHO, 20000, 20000),
            ('zmqloop luajit', ECHO, 20000, 20000),
            ('zloop', ECHO, 20000, 1000),
            ('zmqloop 5.4', SINK, 2000000, 2000000),
            ('zmqloop luajit', SINK, 2000000, 2000000),
            ('zloop', SINK, 1000000, 1000)]:
        name = '%s, %s' % (peer, workload.task)
        lines.append(Line(name, peer, workload, alone))
        for count in (1, 1000, 5000):
            beside = '%s, %d idle' % (name, count)
            lines.append(Line(beside, peer, workload, crowded, {'idle': count}, name))
            if peer != 'zloop':
                targets.append(Target(beside, (RATE, CPU), 0.95, name))
    yield Table('idle', 'one active socket among registered idle ones', lines,
                [RATE, CPU, PEAK], None, targets)


# ---- timers ------------------------------------------------------------------------------------

TIMERS = 100000
CREATE = Figure('create ns', key('create_ns'), '{:.0f}'.format, True)
CANCEL = Figure('cancel ns', key('cancel_ns'), '{:.0f}'.format, True)
FIRE = Figure('dispatch ns', key('fire_ns'), '{:.0f}'.format, True)
BYTES = Figure('bytes', key('bytes'), '{:.0f}'.format, True)
RUN_CPU = Figure('CPU ms', key('cpu_s', 1e3), '{:.3g}'.format, True)
JITTER = Figure('jitter p50 us', key('jitter_p50_us'), '{:.1f}'.format, True, False)
JITTER99 = Figure('p99 us', key('jitter_p99_us'), '{:.0f}'.format, True, False)
DRIFT = Figure('drift ms', lambda run: abs(run['drift_ms']), '{:.3f}'.format, True, False)
MISSED = Figure('missed', key('missed'), '{:.0f}'.format, True, False)
LUV = {'5.4': 'luv 5.4', 'luajit': 'luv luajit'}


def timer_lines(task, count=TIMERS, peers=(
        'zmqloop 5.4', 'zmqloop luajit', 'zmqloop C', 'luv 5.4', 'luv luajit', 'libuv',
        'cqueues', 'asyncio', 'ZMQStream')):
    names = {'ZMQStream': 'tornado', 'zloop': 'czmq zloop'}
    return [Line(names.get(peer, peer), peer, Workload(task), count) for peer in peers]


def timers():
    both = [('zmqloop ' + version, peer) for version, peer in LUV.items()]
    yield Table('timers', '100,000 one-shot timers over a second: create, cancel 90 %, run',
                timer_lines('timers'), [CREATE, CANCEL, BYTES, RUN_CPU, PEAK], 'libuv',
                [Target(line, (figure,), 4, peer) for line, peer in both
                 for figure in (CREATE, CANCEL)] +
                [Target(line, (BYTES,), 200) for line, _ in both])
    yield Table('due', 'the same, all due when the loop starts: dispatch of the 10,000 left',
                timer_lines('due'), [FIRE], 'libuv',
                [Target(line, (FIRE,), 3, peer) for line, peer in both] +
                [Target(line, (FIRE,), 1, 'libuv') for line, _ in both])
    yield Table('all_due', '100,000 due timers, none cancelled: dispatch',
                timer_lines('all_due'), [FIRE], 'libuv',
                [Target(line, (FIRE,), 3, peer) for line, peer in both] +
                [Target(line, (FIRE,), 1, 'libuv') for line, _ in both])
    yield Table('pending', 'a loop that sleeps for a second beside 100,000 timers of an hour',
                timer_lines('pending'), [RUN_CPU], 'libuv', [])
    yield Table('periodic', '1 ms for 3 s',
                timer_lines('periodic', 3000), [JITTER, JITTER99, DRIFT, MISSED, RUN_CPU], 'libuv',
                [Target(line, (figure,), bound) for line, _ in both
                 for figure, bound in ((DRIFT, 0.2), (JITTER, 40))])


# ---- callbacks ---------------------------------------------------------------------------------

def callbacks():
    both = [('zmqloop ' + version, peer) for version, peer in LUV.items()]
    yield Table('chain', '1,000,000 callbacks, each of which schedules the next',
                timer_lines('chain', 1000000), [RATE, CPU, PEAK], 'libuv',
                [Target(line, (RATE, CPU), 1.1, peer) for line, peer in both])
    yield Table('batch', '1,000,000 callbacks at once',
                timer_lines('batch', 1000000), [RATE, CPU, PEAK], 'libuv',
                [Target(line, (RATE, CPU), 10, peer) for line, peer in both])


CASES = {'sink': sink, 'idle': idle, 'timers': timers, 'callbacks': callbacks}
