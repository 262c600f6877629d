-- luv, libuv for Lua: timers, callbacks, posts. SPDX-License-Identifier: MIT
local bench = require("luabench")
local uv = require("luv")
local workloads = require("timers")

local run = bench.parse(arg)
local peer = {run = uv.run, stop = uv.stop}

function peer.create(delay, fn)
  local timer = uv.new_timer()
  timer:start(math.floor(delay * 1000), 0, fn)
  return timer
end

-- Without close() the handle stays for ever.
function peer.cancel(timer)
  timer:stop()
  timer:close()
end

function peer.every(period, fn)
  uv.update_time()
  uv.new_timer():start(period * 1000, period * 1000, fn)
end

-- luv has nothing for "in the next turn" but a timer without delay.
function peer.next_tick(fn)
  uv.new_timer():start(0, 0, fn)
end

-- Timers would have to be closed one by one; an idle handle is called once per turn.
function workloads.chain()
  local idle, seen = uv.new_idle(), 0
  idle:start(function()
    seen = seen + 1
    if seen == run.counted then
      idle:stop()
    end
  end)
  bench.begin()
  uv.run()
  bench.finish()
end

-- uv_async_send() coalesces: a callback is called for the last of several sends.
function workloads.post()
  local async, seen
  async = uv.new_async(function(number)
    seen = number
    if number == run.counted then
      async:close()
    end
  end)
  bench.begin()
  local thread = uv.new_thread(function(handle, count)
    for i = 1, count do
      handle:send(i)
    end
  end, async, run.counted)
  uv.run()
  bench.finish()
  thread:join()
  if seen ~= run.counted then
    bench.die("the last post did not come")
  end
end

if not workloads[run.workload] then
  bench.die("no workload " .. run.workload .. " here")
end
workloads[run.workload](run, peer)
bench.report()
io.stdout:flush()
os.exit(0)
