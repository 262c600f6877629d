"""PyZMQ's ZMQStream on a tornado IOLoop. SPDX-License-Identifier: MIT"""
import sys

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
    socket.bind(endpoint)
    stream = ZMQStream(socket)
    stream.on_recv(on_recv)
    return stream


def messages():
    def sink(frames):
        if run.take(frames):
            loop.stop()

    def echo(frames):
        active.send_multipart(frames)
        if run.take(frames):
            active.on_send(lambda *_: loop.stop())  # ZMQStream queues every send

    if run.workload not in ('sink', 'echo'):
        sys.exit('no workload %s here' % run.workload)
    context = zmq.Context()
    context.max_sockets = run.idle + 64
    idle = [open_stream(context, zmq.PULL, 'inproc://idle-%d' % i, never)
            for i in range(run.idle)]
    kind, on_recv = {'sink': (zmq.PULL, sink), 'echo': (zmq.REP, echo)}[run.workload]
    active = open_stream(context, kind, run.endpoint, on_recv)
    loop.start()
    for stream in idle + [active]:
        stream.close(1000)
    context.term()


if not common.timers(run, Peer):
    messages()
run.report()
