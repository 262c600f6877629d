"""PyZMQ's ZMQStream on a tornado IOLoop. SPDX-License-Identifier: MIT"""
import sys
import threading

import common
import zmq
from tornado.ioloop import IOLoop, PeriodicCallback
from zmq.eventloop.zmqstream import ZMQStream

run = common.Run()
loop = IOLoop.current()


class Peer:
    create = staticmethod(loop.call_later)
    cancel = staticmethod(loop.remove_timeout)
    run = staticmethod(loop.start)
    stop = staticmethod(loop.stop)
    next_tick = staticmethod(loop.add_callback)

    @staticmethod
    def every(period, fn):
        PeriodicCallback(fn, period * 1000).start()


def never(_):
    sys.exit('an idle socket got a message')


def open_stream(context, kind, endpoint, on_recv):
    socket = context.socket(kind)
    if kind == zmq.XPUB:
        socket.sndhwm = 0
    (socket.connect if run.connect else socket.bind)(endpoint)
    stream = ZMQStream(socket)
    stream.on_recv(on_recv)
    return stream


def sink(frames):
    if run.take(frames):
        loop.stop()


def echo(frames):
    active.send_multipart(frames)
    if run.take(frames):
        active.on_send(lambda *_: loop.stop())  # ZMQStream queues every send


def serve(frames):
    active.send_multipart(frames)


def router(frames):
    active.send_multipart(frames)
    if run.count(len(frames[1])):
        active.on_send(lambda *_: loop.stop())


def pub(frames):
    """An XPUB, since a PUB does not see subscriptions."""
    if frames == [b'\1']:
        for i in range(run.checked + run.counted):
            active.send(run.flood(i))
            run.count(run.size)
    else:
        run.finish()
        loop.stop()


def post():
    """Callbacks from another thread."""
    seen = 0

    def in_order(number):
        nonlocal seen
        if number != seen:
            sys.exit('posts in disorder')
        seen += 1
        if seen == run.counted:
            loop.stop()

    def post_all():
        for i in range(run.counted):
            loop.add_callback(in_order, i)
    thread = threading.Thread(target=post_all)
    run.begin()
    thread.start()
    loop.start()
    run.finish()
    thread.join()


WORKLOADS = {'sink': (zmq.PULL, sink), 'echo': (zmq.REP, echo), 'serve': (zmq.REP, serve),
             'router': (zmq.ROUTER, router), 'pub': (zmq.XPUB, pub)}

if run.workload in WORKLOADS:
    zmq_context = zmq.Context()
    zmq_context.max_sockets = run.idle + 1023
    idle = [open_stream(zmq_context, zmq.PULL, 'inproc://idle-%d' % i, never)
            for i in range(run.idle)]
    active = open_stream(zmq_context, WORKLOADS[run.workload][0], run.endpoint,
                         WORKLOADS[run.workload][1])
    run.start_load(zmq_context)
    loop.start()
    run.report()
    for stream in idle + [active]:
        stream.close(1000)
    zmq_context.term()
elif run.workload == 'post':
    post()
    run.report()
elif common.timers(run, Peer):
    run.report()
else:
    sys.exit('no workload %s here' % run.workload)
