-- timers.lua - the timer and callback workloads for loops in Lua: see timers.h, and
--   periodic  a timer of 1 ms
--   chain     a callback that schedules the next one
--   batch     all callbacks at once
-- A peer gives create(delay, fn) -> handle, cancel(handle), run(), stop(), and for the last three
-- every(period, fn) -> handle, next_tick(fn). Seconds. SPDX-License-Identifier: MIT
local bench = require("luabench")

-- None is to be due while they are created and cancelled: the first one, as a part of the span.
local FIRST, HOUR = 0.2, 3600

local function delays(run)
  math.randomseed(42)
  local list = {}
  for i = 1, run.counted do
    list[i] = (FIRST + math.random()) * run.span
  end
  return list
end

-- Starts all timers with one of two callbacks; returns the handles.
local function create(run, peer, wanted, on_wanted, on_cancelled)
  local delay, handles = delays(run), {}
  for i = 1, run.counted do
    handles[i] = false
  end
  collectgarbage()
  local new = peer.create
  local before = bench.private_bytes()
  local start = bench.thread_seconds()
  for i = 1, run.counted do
    handles[i] = new(delay[i], wanted(i) and on_wanted or on_cancelled)
  end
  bench.add("create_ns", (bench.thread_seconds() - start) / run.counted * 1e9)
  bench.add("bytes", (bench.private_bytes() - before) / run.counted)
  return handles
end

local function cancel(run, peer, wanted, handles)
  local forget, cancelled = peer.cancel, 0
  local start = bench.thread_seconds()
  for i = 1, run.counted do
    if not wanted(i) then
      forget(handles[i])
      cancelled = cancelled + 1
    end
  end
  bench.add("cancel_ns", (bench.thread_seconds() - start) / cancelled * 1e9)
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
  -- A function of its own: what was cancelled can be collected after it.
  local function prepare()
    local handles = create(run, peer, wanted, on_wanted, on_cancelled)
    if cancels then
      cancel(run, peer, wanted, handles)
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
  local handles = {}
  local function early()
    bench.die("a timer fired an hour early")
  end
  for i = 1, run.counted do
    handles[i] = peer.create(HOUR, early)
  end
  collectgarbage()
  peer.create(run.span, peer.stop)
  bench.begin()
  peer.run()
  bench.finish()
  for i = 1, run.counted do
    peer.cancel(handles[i])
  end
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

local function expect(seen, run)
  if seen ~= run.counted then
    bench.die(("%d of %d callbacks came"):format(seen, run.counted))
  end
end

function workloads.chain(run, peer)
  local next_tick, seen, last = peer.next_tick, 0, run.counted
  local function step()
    seen = seen + 1
    if seen == last then
      peer.stop()
    else
      next_tick(step)
    end
  end
  next_tick(step)
  bench.begin()
  peer.run()
  bench.finish()
  expect(seen, run)
end

function workloads.batch(run, peer)
  local next_tick, seen, last = peer.next_tick, 0, run.counted
  local function count()
    seen = seen + 1
    if seen == last then
      peer.stop()
    end
  end
  bench.begin()
  for _ = 1, last do
    next_tick(count)
  end
  peer.run()
  bench.finish()
  expect(seen, run)
end

return workloads
