--- zmqloop.waiters: tasks that wait in a line for something, first in first out.
-- What the classes of zmqloop.locks wait with, and who waits for sockets. A waiter leaves the line
-- when it is woken or served, when its time is over, or when its task is cancelled. One that is
-- woken runs in the next iteration; if it is cancelled before that, what it was woken with goes
-- back to whom it came from. One that is served runs at once.
local core = require("zmqloop.core")
local task = require("zmqloop.task")

local misuse = core.misuse
local current_task, suspend = task.current_task, task.suspend
local wake_with, fail_with = task.wake_with, task.fail_with

local Waiters = {}
Waiters.__index = Waiters

--- An empty line. on_left(owner, waiter) is called when one has given up: its time was over, or it
-- was cancelled.
function Waiters.new(on_left, owner)
  return setmetatable({
    first = nil, -- of a doubly linked list, from which any can leave at once
    last = nil,
    on_left = on_left,
    owner = owner,
  }, Waiters)
end

local function unlink(waiter)
  local line, before, after = waiter.line, waiter.before, waiter.after
  if before then
    before.after = after
  else
    line.first = after
  end
  if after then
    after.before = before
  else
    line.last = before
  end
  waiter.line, waiter.before, waiter.after = nil, nil, nil
  if waiter.timer then
    waiter.timer:cancel()
    waiter.timer = nil
  end
end

local function give_up(waiter)
  local line = waiter.line
  unlink(waiter)
  if line.on_left then
    line.on_left(line.owner, waiter)
  end
end

local function expire(waiter)
  give_up(waiter)
  wake_with(waiter.task, false)
end

-- The undoing of suspend().
local function cancel(waiting)
  local waiter = waiting.waiter
  waiting.waiter = nil
  if waiter.line then
    give_up(waiter)
  elseif waiter.give_back then
    waiter.give_back(waiter.owner)
  end
end

-- In the iteration after wake().
local function deliver(waiter)
  if waiter.task.waiter == waiter then -- else it was cancelled meanwhile
    wake_with(waiter.task, true)
  end
end

-- A task has one waiter at a time. Who was served can use his again; one that was woken may still
-- be known to deliver(). Woken and then cancelled, it has give_back(owner) called.
local function take_waiter(waiting)
  local waiter = waiting.spare_waiter
  if waiter then
    waiting.spare_waiter = nil
    return waiter
  end
  return {
    task = waiting,
    attempt = nil,
    a = nil,
    b = nil,
    line = nil, -- where it is in line
    before = nil,
    after = nil,
    timer = nil, -- ends the wait
  } -- and after wake(): give_back, owner; no waiter needs more than eight of them all
end

local function woken(waiting, ...)
  waiting.waiter = nil
  return ...
end

--- Suspends the task that runs, which begin_wait() has returned, until it is woken, and returns
-- true; or served, and returns what with; or, after so many seconds (nil: no limit), false.
-- `attempt` and its arguments are for whoever serves it.
function Waiters:wait(waiting, seconds, attempt, a, b)
  local waiter, last = take_waiter(waiting), self.last
  waiter.attempt, waiter.a, waiter.b = attempt, a, b
  waiter.line, waiter.before = self, last
  if seconds then
    waiter.timer = waiting.loop:call_later(seconds, expire, waiter)
  end
  if last then
    last.after = waiter
  else
    self.first = waiter
  end
  self.last = waiter
  waiting.waiter = waiter
  return woken(waiting, suspend(waiting, cancel))
end

--- Resumes the first one, which is there, with these results; from a callback of its loop.
function Waiters:serve(...)
  local waiter = self.first
  local served = waiter.task
  unlink(waiter)
  waiter.a, waiter.b, served.spare_waiter = nil, nil, waiter
  wake_with(served, ...)
end

--- The same with an error, raised where it waits.
function Waiters:fail(err)
  local waiter = self.first
  unlink(waiter)
  fail_with(waiter.task, err)
end

--- Wakes the first one; returns whether there was one. give_back(owner) is called if it is
-- cancelled before it runs. Those of closed loops leave the line.
function Waiters:wake(give_back, owner)
  local waiter = self.first
  while waiter and waiter.task.loop:closed() do
    unlink(waiter)
    waiter = self.first
  end
  if not waiter then
    return false
  end
  waiter.task.loop:add_callback(deliver, waiter)
  unlink(waiter)
  waiter.give_back, waiter.owner = give_back, owner
  return true
end

--- Wakes all that wait now.
function Waiters:wake_all()
  while self:wake() do end -- luacheck: ignore 542
end

--- How many wait.
function Waiters:count()
  local count, waiter = 0, self.first
  while waiter do
    count, waiter = count + 1, waiter.after
  end
  return count
end

--- Where `method` begins: checks its timeout, and returns the task that runs; nil if the timeout is
-- 0 or less, which never suspends, and needs no task.
local function begin_wait(method, argument, seconds)
  if seconds ~= nil and (type(seconds) ~= "number" or seconds ~= seconds) then
    misuse(("bad argument #%d to '%s' (number of seconds expected, got %s)"):format(argument,
      method, seconds ~= seconds and "NaN" or type(seconds)))
  elseif seconds and seconds <= 0 then
    return nil
  end
  return current_task(method)
end

--- What it returns when the time was over.
local function timed_out(seconds)
  return nil, task.timed_out(seconds), "ETIMEDOUT"
end

return {
  Waiters = Waiters,
  begin_wait = begin_wait,
  timed_out = timed_out,
}
