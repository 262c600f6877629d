"""The cases: what is measured, with which peers, and what the ratios should reach.

SPDX-License-Identifier: MIT
"""
import collections

# The driver's workload; the load generator's mode, the transport, and whether the load gets its own
# core. Waking another core takes as long as a round trip, so in a ping-pong both share one.
Workload = collections.namedtuple('Workload', 'task load transport split options',
                                  defaults=(None, None, False, {}))

# One line of a table; base names the line it is compared with, by default the table's.
Line = collections.namedtuple('Line', 'name peer workload count options base',
                              defaults=({}, None))

# A column: value selects the figure from a run; less: smaller is better; ratio: also print its
# ratio to the base.
Figure = collections.namedtuple('Figure', 'title value form less ratio', defaults=(False, True))

# A target for the median of a line's figure: at least `bound` times as good as the line `base`, or
# at least `bound` if there is no base.
Target = collections.namedtuple('Target', 'line figures bound base', defaults=(None,))

Table = collections.namedtuple('Table', 'name title lines figures base targets')

# A section of the overview: each row shows the ratios of one figure of a table, for the peers in
# that table. If a peer has several lines, the one with the suffix is used.
Part = collections.namedtuple('Part', 'title peers rows')
Row = collections.namedtuple('Row', 'title table figure suffix', defaults=('',))


def count_form(value):
    for size, unit in ((1e6, ' M'), (1e3, ' k')):
        if abs(value) >= size:
            return '%.3g%s' % (value / size, unit)
    return '%.3g' % value


def key(name, factor=1.0):
    return lambda run: run[name] * factor if name in run else None


RATE = Figure('per second', lambda run: run['messages'] / run['seconds'], count_form)
CPU = Figure('CPU ns', lambda run: run['cpu_s'] / run['messages'] * 1e9, '{:.0f}'.format, True)
CPU_S = Figure('CPU s', key('cpu_s'), '{:.2f}'.format, True, False)
PEAK = Figure('peak MiB', key('peak_kb', 1 / 1024), '{:.1f}'.format, True, False)
USED = [CPU_S, PEAK]  # by the peer's process: while it was timed, and at all
LOOP = Figure('loop ns', lambda run: run['loop_cpu_s'] / run['messages'] * 1e9, '{:.0f}'.format,
              True)
P50 = Figure('p50 us', key('p50_us'), '{:.1f}'.format, True, False)
P99 = Figure('p99 us', key('p99_us'), '{:.0f}'.format, True, False)

# ---- messages ----------------------------------------------------------------------------------

ZMQ = 'C zmq_msg_recv'
BOTH = 'zmqloop 5.4', 'zmqloop luajit'
NAMES = {'raw': ZMQ, 'zloop': 'czmq zloop', 'ZMQStream': 'PyZMQ ZMQStream',
         'asyncio': 'PyZMQ asyncio'}


def message_lines(workload, count, slow=1, unpack=False):
    """One line per peer; peers in Python, and czmq, get fewer messages."""
    parts = {'raw': 1, 'zmqloop C': 1, 'zmqloop 5.4': 1, 'zmqloop luajit': 1,
             'zloop': slow ** 0.5, 'ZMQStream': slow, 'asyncio': slow}
    lines = [Line(NAMES.get(peer, peer), peer, workload, int(count / part))
             for peer, part in parts.items()]
    if unpack:
        lines[4:4] = [Line(peer + ', unpack', peer, workload, count, {'unpack': 1})
                      for peer in BOTH]
    return lines


def zmq_targets(figures, *bounds, suffix=''):
    """Targets for Lua 5.4 and LuaJIT."""
    return [Target(peer + suffix, figures, bound, ZMQ) for peer, bound in zip(BOTH, bounds)]


def echo():
    for transport, count in (('ipc', 20000), ('tcp', 20000), ('inproc', 60000)):
        workload = Workload('echo', 'req', transport, False)
        lines = message_lines(workload, count, 3)
        lines[4:4] = [Line(peer + ', green', peer, workload, count, {'green': 1}) for peer in BOTH]
        yield Table('echo_' + transport,
                    'REQ to REP over %s, 16 bytes, both on one core' % transport,
                    lines, [RATE, LOOP, P50, P99, *USED], ZMQ,
                    zmq_targets((RATE,), 0.97, 0.97) +
                    [Target(peer + ', green', (RATE,), 0.7, peer) for peer in BOTH])


SINK = Workload('sink', 'push', 'tcp', True)


def sink():
    for transport in ('tcp', 'ipc'):
        workload = SINK._replace(transport=transport)
        lines = message_lines(workload, 4000000, 60, unpack=True)
        numbered = workload._replace(load='number')
        lines[6:6] = [Line(peer + ', numbered', peer, numbered, 4000000) for peer in BOTH]
        yield Table('sink_' + transport,
                    'PUSH to PULL over %s, 16 bytes, a callback per message' % transport, lines,
                    [RATE, CPU, *USED], ZMQ,
                    zmq_targets((RATE, CPU), 0.48, 0.72) +
                    zmq_targets((RATE, CPU), 0.70, 0.90, suffix=', unpack'))
    for size, name, count in ((1024, '1 KiB', 400000), (65536, '64 KiB', 20000)):
        yield Table('sink_%d' % size, 'PUSH to PULL over tcp, %s' % name,
                    message_lines(SINK._replace(options={'size': size}), count, 10, unpack=True),
                    [RATE, CPU, *USED], ZMQ,
                    zmq_targets((RATE,), 0.97, 0.97) +
                    zmq_targets((RATE,), 0.97, 0.97, suffix=', unpack'))
    yield Table('sink_inproc', 'PUSH in one thread to PULL in another, inproc, 8 bytes',
                message_lines(Workload('sink', 'push', 'inproc', True, {'size': 8}), 4000000, 60,
                              unpack=True),
                [RATE, LOOP, *USED], ZMQ, zmq_targets((RATE,), 0.70, 0.85, suffix=', unpack'))


def router():
    yield Table('router', '100 DEALER sockets with 10 requests each in flight to ROUTER, 32 bytes',
                message_lines(Workload('router', 'dealers', 'tcp', True, {'size': 32}), 300000, 15),
                [RATE, CPU, *USED], ZMQ, zmq_targets((RATE,), 0.95, 0.95))


def pub():
    yield Table('pub', 'PUB to SUB over tcp, 16 bytes, until the last one has arrived',
                message_lines(Workload('pub', 'sub', 'tcp', True), 1000000, 30),
                [RATE, CPU, *USED], ZMQ, zmq_targets((RATE, CPU), 0.55, 0.75))


def idle():
    for workload, alone in ((Workload('echo', 'req', 'ipc', False), 20000), (SINK, 2000000)):
        lines, targets = [], []
        for peer in (*BOTH, 'zloop', 'ZMQStream'):
            name = NAMES.get(peer, peer)
            count = alone if peer in BOTH or workload.task == 'echo' else alone // 60
            lines.append(Line(name, peer, workload, count))
            for idle_count in (1, 1000, 5000):
                beside = '%s, %d idle' % (name, idle_count)
                # zloop checks every socket for each message.
                some = min(count, 1000000 // idle_count) if peer == 'zloop' else count
                lines.append(Line(beside, peer, workload, some, {'idle': idle_count}, name))
                if peer in BOTH:
                    targets.append(Target(beside, (RATE,), 0.95, name))
        yield Table('idle_' + workload.task, '%s beside registered idle sockets' % workload.task,
                    lines, [RATE, CPU, *USED], None, targets)


CALLS = Figure('system calls per message', key('calls'), '{:.3f}'.format, True)


def syscalls():
    lines = message_lines(SINK, 100000, 10, unpack=True)
    yield Table('syscalls', 'system calls of all threads per message of sink, by strace',
                [line for line in lines if line.peer != 'asyncio'], [CALLS], ZMQ,
                [Target(peer, (CALLS,), 0.1) for peer in BOTH])


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


def loop_lines(task, count=TIMERS):
    peers = (*BOTH, 'zmqloop C', 'luv 5.4', 'luv luajit', 'libuv', 'cqueues', 'asyncio',
             'ZMQStream')
    return [Line('tornado' if peer == 'ZMQStream' else peer, peer, Workload(task), count)
            for peer in peers]


def timers():
    both = [('zmqloop ' + version, peer) for version, peer in LUV.items()]
    yield Table('timers', '100,000 one-shot timers over a second: create, cancel 90 %, run',
                loop_lines('timers'), [CREATE, CANCEL, BYTES, RUN_CPU, PEAK], 'libuv',
                [Target(line, (figure,), 4, peer) for line, peer in both
                 for figure in (CREATE, CANCEL)] +
                [Target(line, (BYTES,), 200) for line, _ in both])
    yield Table('due', 'the same, all due when the loop starts: dispatch of the 10,000 left',
                loop_lines('due'), [FIRE, *USED], 'libuv',
                [Target(line, (FIRE,), 3, peer) for line, peer in both] +
                [Target(line, (FIRE,), 1, 'libuv') for line, _ in both])
    yield Table('all_due', '100,000 due timers, none cancelled: dispatch',
                loop_lines('all_due'), [FIRE, *USED], 'libuv',
                [Target(line, (FIRE,), 3, peer) for line, peer in both] +
                [Target(line, (FIRE,), 1, 'libuv') for line, _ in both])
    yield Table('pending', 'a loop that sleeps for a second beside 100,000 timers of an hour',
                loop_lines('pending'), [RUN_CPU, PEAK], 'libuv', [])
    yield Table('periodic', '1 ms for 3 s',
                [*loop_lines('periodic', 3000),
                 Line(NAMES['zloop'], 'zloop', Workload('periodic'), 3000)],
                [JITTER, JITTER99, DRIFT, MISSED, RUN_CPU, PEAK], 'libuv',
                [Target(line, (figure,), bound) for line, _ in both
                 for figure, bound in ((DRIFT, 0.2), (JITTER, 40))])


# ---- callbacks ---------------------------------------------------------------------------------

def callbacks():
    both = [('zmqloop ' + version, peer) for version, peer in LUV.items()]
    yield Table('chain', '1,000,000 callbacks, each of which schedules the next',
                loop_lines('chain', 1000000), [RATE, CPU, *USED], 'libuv',
                [Target(line, (RATE, CPU), 1.1, peer) for line, peer in both])
    yield Table('batch', '1,000,000 callbacks at once',
                loop_lines('batch', 1000000), [RATE, CPU, *USED], 'libuv',
                [Target(line, (RATE, CPU), 10, peer) for line, peer in both])


# ---- from another thread -----------------------------------------------------------------------

def post():
    workload = Workload('post', split=True)
    inproc = Workload('sink', 'push', 'inproc', True, {'size': 8, 'unpack': 1})
    lines = [Line('zmqloop C zl_loop_post', 'zmqloop C', workload, 1000000),
             Line('zmqloop 5.4, inproc stream', 'zmqloop 5.4', inproc, 1000000),
             Line('zmqloop luajit, inproc stream', 'zmqloop luajit', inproc, 1000000),
             Line('libuv, list and async', 'libuv', workload, 1000000),
             Line('luv 5.4 async, coalesced', 'luv 5.4', workload, 1000000),
             Line('asyncio', 'asyncio', workload, 60000),
             Line('tornado', 'ZMQStream', workload, 60000)]
    yield Table('post', 'callbacks posted from another thread', lines, [RATE, LOOP, *USED],
                'libuv, list and async', [])


# ---- start -------------------------------------------------------------------------------------

ECHO_MS = Figure('first echo ms', key('first_echo_us', 1e-3), '{:.2f}'.format, True)
PRIVATE = Figure('private KiB', key('service_bytes', 1 / 1024), '{:.0f}'.format, True)


def startup():
    workload = Workload('serve', 'startup', 'ipc', False)
    lines = [Line(NAMES.get(peer, peer), peer, workload, 10)
             for peer in ('raw', 'zmqloop C', 'service 5.4', 'service luajit', 'zloop',
                          'ZMQStream', 'asyncio')]
    lines[2:4] = [lines[2]._replace(name=BOTH[0]), lines[3]._replace(name=BOTH[1])]
    yield Table('startup', 'start of a process to its first echo; private memory after it', lines,
                [ECHO_MS, PRIVATE], ZMQ,
                [Target(peer, (ECHO_MS,), 1 / 1.4, ZMQ) for peer in BOTH] +
                [Target(peer, (PRIVATE,), 1536) for peer in BOTH])


CASES = {'echo': echo, 'sink': sink, 'router': router, 'pub': pub, 'idle': idle,
         'syscalls': syscalls, 'timers': timers, 'callbacks': callbacks, 'post': post,
         'startup': startup}

OVERVIEW = [
    Part('messages: rate, times that of zmq_msg_recv() or zmq_send() in C',
         [*BOTH, *(NAMES[peer] for peer in ('zloop', 'ZMQStream', 'asyncio'))],
         [Row('sink, tcp, 16 B', 'sink_tcp', RATE.title, ', unpack'),
          Row('sink, ipc, 16 B', 'sink_ipc', RATE.title, ', unpack'),
          Row('sink, inproc, 8 B', 'sink_inproc', RATE.title, ', unpack'),
          Row('sink, tcp, 1 KiB', 'sink_1024', RATE.title, ', unpack'),
          Row('router, 100 dealers', 'router', RATE.title),
          Row('pub, tcp, 16 B', 'pub', RATE.title),
          Row('echo, ipc', 'echo_ipc', RATE.title)]),
    Part('echo over ipc beside idle sockets: rate, times that without them',
         [*BOTH, *(NAMES[peer] for peer in ('zloop', 'ZMQStream'))],
         [Row('1,000 idle sockets', 'idle_echo', RATE.title, ', 1000 idle'),
          Row('5,000 idle sockets', 'idle_echo', RATE.title, ', 5000 idle')]),
    Part('timers and callbacks: speed, times that of libuv in C',
         [*BOTH, 'luv 5.4', 'luv luajit', 'cqueues', 'asyncio', 'tornado'],
         [Row('create a timer', 'timers', CREATE.title),
          Row('cancel a timer', 'timers', CANCEL.title),
          Row('dispatch a timer', 'due', FIRE.title),
          Row('callback, in a chain', 'chain', RATE.title),
          Row('callbacks, all at once', 'batch', RATE.title)]),
]
