--- zmqloop.async.run_sync: methods of IOLoop for futures: add_future() and run_sync().
-- Internal: programs do not require it, and it may change at any time.
-- Loaded when one of them is first used.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.run_sync") then
  return classes.registered("async.run_sync")
end

local future = require("zmqloop.async.future")
local tasks = require("zmqloop.async.task")
local trace = require("zmqloop.trace")

local misuse, check_loop = core.misuse, core.check_loop
local check_callable, check_seconds = core.check_callable, core.check_seconds
local IOLoop, timed_out, check_future = core.IOLoop, tasks.timed_out, future.check_future

--- Calls fn(future) on this loop, in the iteration after the future is done. Tornado: add_future.
function IOLoop:add_future(awaited, fn)
  check_loop("add_future", 0, self)
  check_future("add_future", 1, awaited)
  check_callable("add_future", 2, fn)
  awaited:subscribe(self, fn, false)
end

--- Runs fn as a task, and the loop until fn has returned; returns its results and raises its
-- errors. After `timeout` seconds cancels the task, waits for its end without a limit, and raises
-- "ETIMEDOUT: Operation timed out after N seconds", as with_timeout() does. If something else stops
-- the loop, cancels the task without waiting for its end and raises "EINTR: IOLoop stopped before
-- the function completed", or ETIMEDOUT if the time was up. Raises CANCELLED if the task was
-- cancelled. Not inside a running loop. Tornado: `IOLoop.run_sync`.
function IOLoop:run_sync(fn, timeout)
  check_loop("run_sync", 0, self)
  check_callable("run_sync", 1, fn)
  check_seconds("run_sync", 2, timeout)
  if self:running() then
    misuse("IOLoop is already running")
  end
  local waiting, expired = true, false
  local task = self:spawn(fn)
  local function stop()
    if waiting then
      self:stop()
    end
  end
  task:add_done_callback(stop)
  local timer = timeout and self:call_later(timeout, function()
    expired = true
    task:cancel()
  end)
  local started, failure = pcall(self.start, self)
  waiting = false
  if timer then
    timer:cancel()
  end
  if not started then
    task:cancel()
    trace.raise(failure, (trace.of(failure)))
  elseif expired then
    error(timed_out(timeout), 0)
  elseif not task:done() then
    task:cancel()
    error("EINTR: IOLoop stopped before the function completed", 0)
  end
  return task:result()
end

return classes.register("async.run_sync", {
  add_future = IOLoop.add_future,
  run_sync = IOLoop.run_sync,
})
