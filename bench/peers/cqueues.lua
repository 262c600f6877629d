-- cqueues: coroutines. A timer is one that waits for a condition with a timeout; to cancel it is to
-- signal that. SPDX-License-Identifier: MIT
local bench = require("luabench")
local condition = require("cqueues.condition")
local cqueues = require("cqueues")
local workloads = require("timers")

local run = bench.parse(arg)
local queue = cqueues.new()
local peer, stopped, started = {}, false, 0

-- A coroutine arms its timer when it is first resumed, so the last of many resumes them all.
function peer.create(delay, fn)
  local cancelled = condition.new()
  queue:wrap(function()
    if cqueues.poll(cancelled, delay) ~= cancelled then
      fn()
    end
  end)
  started = started + 1
  if started == run.counted then
    queue:step(0)
  end
  return cancelled
end

function peer.cancel(cancelled)
  cancelled:signal()
end

function peer.run()
  while not stopped and not queue:empty() do
    assert(queue:step())
  end
end

function peer.stop()
  stopped = true
end

-- It has no periodic timers: this keeps the grid by hand.
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

function peer.next_tick(fn)
  queue:wrap(fn)
end

if not workloads[run.workload] then
  bench.die("no workload " .. run.workload .. " here")
end
workloads[run.workload](run, peer)
bench.report()
io.stdout:flush()
os.exit(0)
