-- luv, libuv for Lua: timers, callbacks, posts. SPDX-License-Identifier: MIT
local bench = require("luabench")
local uv = require("luv")
local workloads = require("timers")

local run = bench.parse(arg)
local peer = {run = uv.run, stop = uv.stop}

function peer.create(handles, delays, callbacks)
  for i = 1, #delays do
    local timer = uv.new_timer()
    timer:start(math.floor(delays[i] * 1000), 0, callbacks[i])
    handles[i] = timer
  end
end

-- A handle that is not closed is never freed.
function peer.cancel(handles)
  for i = 1, #handles do
    local timer = handles[i]
    timer:stop()
    timer:close()
  end
end

function peer.every(period, fn)
  uv.update_time()
  uv.new_timer():start(period * 1000, period * 1000, fn)
end

-- Only a timer without delay gives luv a callback "in the next turn".
function peer.call_soon(fn, count)
  for _ = 1, count do
    uv.new_timer():start(0, 0, fn)
  end
end

-- An idle handle is called once per turn; timers would each have to be closed.
function workloads.chain()
  local idle, seen, last = uv.new_idle(), 0, run.counted
  idle:start(function()
    seen = seen + 1
    if seen == last then
      idle:stop()
    end
  end)
  bench.begin()
  uv.run()
  bench.finish()
  if seen ~= last then
    bench.die("not all callbacks came")
  end
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
