"""zmq.asyncio on the stock loop of asyncio. SPDX-License-Identifier: MIT"""
import asyncio
import sys
import threading

import common
import zmq
import zmq.asyncio

run = common.Run()
loop = asyncio.new_event_loop()


class Peer:
    create = staticmethod(loop.call_later)
    run = staticmethod(loop.run_forever)
    stop = staticmethod(loop.stop)
    next_tick = staticmethod(loop.call_soon)

    @staticmethod
    def cancel(handle):
        handle.cancel()

    @staticmethod
    def every(period, fn):
        """asyncio has no periodic timers: this one reschedules itself, without drift."""
        start, count = loop.time(), 1

        def tick():
            nonlocal count
            count += 1
            loop.call_at(start + count * period, tick)
            fn()
        loop.call_at(start + period, tick)


# ---- messages: a coroutine that receives ---------------------------------------------------------

async def sink(socket):
    while not run.take(await socket.recv_multipart()):
        pass


async def echo(socket):
    last = False
    while not last:
        frames = await socket.recv_multipart()
        await socket.send_multipart(frames)
        last = run.take(frames)


async def serve(socket):
    while True:
        await socket.send_multipart(await socket.recv_multipart())


async def router(socket):
    last = False
    while not last:
        frames = await socket.recv_multipart()
        await socket.send_multipart(frames)
        last = run.count(len(frames[1]))


async def pub(socket):
    """An XPUB, since a PUB does not see subscriptions."""
    await socket.recv()
    for i in range(run.checked + run.counted):
        await socket.send(run.flood(i))
        run.count(run.size)
    await socket.recv()
    run.finish()


WORKLOADS = {'sink': (zmq.PULL, sink), 'echo': (zmq.REP, echo), 'serve': (zmq.REP, serve),
             'router': (zmq.ROUTER, router), 'pub': (zmq.XPUB, pub)}


async def messages():
    kind, workload = WORKLOADS[run.workload]
    context = zmq.asyncio.Context()
    socket = context.socket(kind)
    if kind == zmq.XPUB:
        socket.sndhwm = 0
    (socket.connect if run.connect else socket.bind)(run.endpoint)
    run.start_load(context)
    await workload(socket)
    run.report()
    socket.close(1000)
    context.term()


# ---- callbacks from another thread --------------------------------------------------------------

def post():
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
            loop.call_soon_threadsafe(in_order, i)
    thread = threading.Thread(target=post_all)
    run.begin()
    thread.start()
    loop.run_forever()
    run.finish()
    thread.join()


if run.workload in WORKLOADS:
    loop.run_until_complete(messages())
elif run.workload == 'post':
    post()
    run.report()
elif common.timers(run, Peer):
    run.report()
else:
    sys.exit('no workload %s here' % run.workload)
