-- cqueues: coroutines. A timer is a coroutine that waits for a condition with a timeout; signalling
-- the condition cancels it. SPDX-License-Identifier: MIT
local bench = require("luabench")
local condition = require("cqueues.condition")
local cqueues = require("cqueues")
local workloads = require("timers")

local run = bench.parse(arg)
local queue = cqueues.new()
local peer, stopped = {}, false

local function sleep(delay, fn)
  local cancelled = condition.new()
  queue:wrap(function()
    if cqueues.poll(cancelled, delay) ~= cancelled then
      fn()
    end
  end)
  return cancelled
end

-- A coroutine arms its timer when it is first resumed.
function peer.create(handles, delays, callbacks)
  for i = 1, #delays do
    handles[i] = sleep(delays[i], callbacks[i])
  end
  queue:step(0)
end

function peer.cancel(handles)
  for i = 1, #handles do
    handles[i]:signal()
  end
end

function peer.run()
  while not stopped and not queue:empty() do
    assert(queue:step())
  end
end

function peer.stop()
  stopped = true
end

-- cqueues has no periodic timers: this one reschedules itself, without drift.
function peer.every(period, fn)
  local start, count = cqueues.monotime(), 0
  queue:wrap(function()
    repeat
      count = count + 1
      cqueues.sleep(math.max(0, start + count * period - cqueues.monotime()))
      fn()
    until stopped
  end)
end

function peer.call_soon(fn, count)
  for _ = 1, count do
    queue:wrap(fn)
  end
end

function workloads.chain()
  local seen, last = 0, run.counted
  local function step()
    seen = seen + 1
    if seen < last then
      queue:wrap(step)
    end
  end
  queue:wrap(step)
  bench.begin()
  assert(queue:loop())
  bench.finish()
  if seen ~= last then
    bench.die("not all callbacks came")
  end
end

if not workloads[run.workload] then
  bench.die("no workload " .. run.workload .. " here")
end
workloads[run.workload](run, peer)
bench.report()
io.stdout:flush()
os.exit(0)
