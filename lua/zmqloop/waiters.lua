--- zmqloop.waiters: tasks that wait in a line for something, first in first out.
-- What the classes of zmqloop.locks wait with. A waiter leaves the line when it is woken, when its
-- time is over, or when its task is cancelled. One that is woken runs in the next iteration; if it
-- is cancelled before that, what it was woken with goes back to whom it came from.
local task = require("zmqloop.task")

local current_task, suspend, wake_with = task.current_task, task.suspend, task.wake_with

local Waiters = {}
Waiters.__index = Waiters

--- An empty line.
function Waiters.new()
  return setmetatable({
    first = nil, -- of a doubly linked list, from which any can leave at once
    last = nil,
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
  waiter.line = nil
  if waiter.timer then
    waiter.timer:cancel()
    waiter.timer = nil
  end
end

local function expire(waiter)
  unlink(waiter)
  wake_with(waiter.task, false)
end

-- The undoing of suspend().
local function cancel(waiting)
  local waiter = waiting.waiter
  waiting.waiter = nil
  if waiter.line then
    unlink(waiter)
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

--- Suspends the task that runs, which begin_wait() has returned, until it is woken; returns true,
-- or false after so many seconds (nil: no limit).
function Waiters:wait(waiting, seconds)
  local waiter = {
    task = waiting,
    line = self, -- nil once it has left it
    before = self.last,
    after = nil,
    timer = nil, -- ends the wait
    give_back = nil, -- give_back(owner), if it was woken and then cancelled
    owner = nil,
  }
  if seconds then
    waiter.timer = waiting.loop:call_later(seconds, expire, waiter)
  end
  if self.last then
    self.last.after = waiter
  else
    self.first = waiter
  end
  self.last = waiter
  waiting.waiter = waiter
  local woken = suspend(waiting, cancel)
  waiting.waiter = nil
  return woken
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
    error(("bad argument #%d to '%s' (number of seconds expected, got %s)"):format(argument, method,
      type(seconds)), 3)
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
