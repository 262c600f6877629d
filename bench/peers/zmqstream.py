"""PyZMQ's ZMQStream on a tornado IOLoop. SPDX-License-Identifier: MIT"""
import json
import struct
import sys
import time

import zmq
from tornado.ioloop import IOLoop
from zmq.eventloop.zmqstream import ZMQStream

WORKLOAD, ENDPOINT = sys.argv[1:3]
SIZE, CHECKED, COUNTED = map(int, sys.argv[3:6])
IDLE = int(sys.argv[6]) if len(sys.argv) > 6 else 0
TYPES = {'sink': zmq.PULL, 'echo': zmq.REP}
PATTERN = bytes((i * 131 + 7) % 256 for i in range(SIZE))

seen = received = 0
start = end = None


def clocks():
    return time.perf_counter(), time.process_time(), time.thread_time()


def take(frames):
    """Counts and checks a message as bench_take() does."""
    global seen, received, start, end
    if seen < CHECKED or seen == CHECKED + COUNTED - 1:
        if frames != [struct.pack('=Q', seen) + PATTERN[8:]]:
            sys.exit('message %d is wrong' % seen)
    seen += 1
    received += len(frames[0])
    if seen == CHECKED:
        start = clocks()
    elif seen == CHECKED + COUNTED:
        end = clocks()
        return True
    return False


def sink(frames):
    if take(frames):
        loop.stop()


def echo(frames):
    active.send_multipart(frames)
    if take(frames):
        active.on_send(lambda *_: loop.stop())  # ZMQStream queues every send


def never(_):
    sys.exit('an idle socket got a message')


def open_stream(kind, endpoint, on_recv):
    socket = context.socket(kind)
    socket.bind(endpoint)
    stream = ZMQStream(socket)
    stream.on_recv(on_recv)
    return stream


loop = IOLoop.current()
context = zmq.Context()
context.max_sockets = IDLE + 64
idle = [open_stream(zmq.PULL, 'inproc://idle-%d' % i, never) for i in range(IDLE)]
active = open_stream(TYPES[WORKLOAD], ENDPOINT, {'sink': sink, 'echo': echo}[WORKLOAD])
loop.start()
if received != seen * SIZE:
    sys.exit('%d bytes in %d messages' % (received, seen))
wall, process, thread = (b - a for a, b in zip(start, end))
print(json.dumps({'messages': COUNTED, 'seconds': wall, 'cpu_s': process, 'loop_cpu_s': thread}))
for stream in idle + [active]:
    stream.close(1000)
context.term()
