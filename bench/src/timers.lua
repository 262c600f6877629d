-- timers.lua - the timer and callback workloads for loops in Lua: see timers.h, and
--   periodic  a timer of 1 ms
--   batch     all callbacks at once
-- A peer has run() and stop(), and these functions, which loop over the timers themselves, so that
-- no other calls are measured:
--   create(handles, delays, callbacks)  starts a timer for each of the delays, in seconds
--   cancel(handles)                     cancels all of them
--   every(period, fn)                   calls fn again and again
--   call_soon(fn, count) calls fn this many times in the next turn
-- SPDX-License-Identifier: MIT
local bench = require("luabench")

-- When the first timer is due, as a part of the span: none may be due while timers are created and
-- cancelled.
local FIRST, HOUR = 0.2, 3600

local function delays(run)
  math.randomseed(42)
  local list = {}
  for i = 1, run.counted do
    list[i] = (FIRST + math.random()) * run.span
  end
  return list
end

-- Starts all timers; returns the handles of those to be cancelled.
local function create(run, peer, wanted, on_wanted, on_cancelled)
  local list, handles, callbacks = delays(run), {}, {}
  for i = 1, run.counted do
    handles[i] = false
    callbacks[i] = wanted(i) and on_wanted or on_cancelled
  end
  collectgarbage()
  local before = bench.private_bytes()
  bench.begin_part()
  peer.create(handles, list, callbacks)
  bench.end_part("create_ns", run.counted)
  bench.add("bytes", (bench.private_bytes() - before) / run.counted)
  local unwanted = {}
  for i = 1, run.counted do
    if not wanted(i) then
      unwanted[#unwanted + 1] = handles[i]
    end
  end
  return unwanted
end

local function cancel(peer, handles)
  bench.begin_part()
  peer.cancel(handles)
  bench.end_part("cancel_ns", #handles)
end

local function one_shot(run, peer, is_due, cancels)
  local fired, expected = 0, cancels and math.floor((run.counted + 9) / 10) or run.counted
  local function wanted(index)
    return not cancels or index % 10 == 1
  end
  local function on_wanted()
    fired = fired + 1
    if fired == expected then
      peer.stop()
    end
  end
  local function on_cancelled()
    bench.die("a cancelled timer fired")
  end
  -- A function of its own, so that cancelled timers can be collected after it.
  local function prepare()
    local unwanted = create(run, peer, wanted, on_wanted, on_cancelled)
    if cancels then
      cancel(peer, unwanted)
    end
  end
  prepare()
  if is_due then
    bench.sleep((FIRST + 1) * run.span)
  end
  bench.begin()
  peer.run()
  bench.add("fire_ns", bench.finish() / fired * 1e9)
  if fired ~= expected then
    bench.die(("%d of %d timers fired"):format(fired, expected))
  end
end

local workloads = {}

function workloads.timers(run, peer)
  one_shot(run, peer, false, true)
end

function workloads.due(run, peer)
  one_shot(run, peer, true, true)
end

function workloads.all_due(run, peer)
  one_shot(run, peer, true, false)
end

function workloads.pending(run, peer)
  local function early()
    bench.die("a timer fired an hour early")
  end
  local handles, hours, callbacks = {}, {}, {}
  for i = 1, run.counted do
    hours[i], callbacks[i] = HOUR, early
  end
  peer.create(handles, hours, callbacks)
  collectgarbage()
  peer.create({}, {run.span}, {peer.stop})
  bench.begin()
  peer.run()
  bench.finish()
  peer.cancel(handles)
end

function workloads.periodic(run, peer)
  local ticks, seen, last = {}, 0, run.counted
  for i = 1, last do
    ticks[i] = 0
  end
  local start = bench.seconds()
  peer.every(1e-3, function()
    seen = seen + 1
    ticks[seen] = bench.seconds()
    if seen == last then
      peer.stop()
    end
  end)
  bench.begin()
  peer.run()
  bench.finish()
  bench.add_ticks(ticks, last, start, 1e-3)
end

function workloads.batch(run, peer)
  local seen, last = 0, run.counted
  bench.begin()
  peer.call_soon(function()
    seen = seen + 1
    if seen == last then
      peer.stop()
    end
  end, last)
  peer.run()
  bench.finish()
  if seen ~= last then
    bench.die(("%d of %d callbacks came"):format(seen, last))
  end
end

return workloads
