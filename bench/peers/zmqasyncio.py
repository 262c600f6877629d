"""zmq.asyncio on the stock loop of asyncio. SPDX-License-Identifier: MIT"""
import asyncio
import sys

import common

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
        """asyncio has no periodic timers: this keeps the grid by hand."""
        start, count = loop.time(), 1

        def tick():
            nonlocal count
            count += 1
            loop.call_at(start + count * period, tick)
            fn()
        loop.call_at(start + period, tick)


if not common.timers(run, Peer):
    sys.exit('no workload %s here' % run.workload)
run.report()
