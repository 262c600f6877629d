--- zmqloop.async.waiters: tasks queued in a line, first in first out.
-- Internal: programs do not require it, and it may change at any time.
-- For async.locks, and for tasks that wait for sockets and streams. A waiter leaves the line when
-- it is woken or served, when it times out, or when its task is cancelled. A woken waiter runs in
-- the next iteration; if it is cancelled before that, what it was woken with is given back. A
-- served one runs at once.
local core = require("zmqloop.core")
local task = require("zmqloop.async.task")

local check_seconds = core.check_seconds
local task_to_suspend, is_alive = task.task_to_suspend, task.is_alive
local begin_task_wait, suspend, stop_timer = task.begin_wait, task.suspend, task.stop_timer
local wake_with, fail_with = task.wake_with, task.fail_with

local pcall, status = pcall, coroutine.status

local Waiters = {}
Waiters.__index = Waiters

--- An empty line. It calls these functions, which must not wait; each may be nil:
--   on_left(owner, waiter) a waiter stopped waiting: it timed out or was cancelled
--   look(owner, waiter)     a waiter is about to join: returns what its wait is to return, if it
--                           need not, because what it wants has come meanwhile and has been taken
--                           for it
--   on_first(owner, line)   the first waiter has joined: returns true; or nil, message, name, which
--                           become the results of its wait
function Waiters.new(on_left, owner, look, on_first)
  return setmetatable({
    -- Of a doubly linked list, from which any can leave at once. Fields that are false, here and in
    -- a waiter, have their place in the table: to set them takes no memory.
    first = false,
    last = false,
    on_left = on_left,
    owner = owner,
    look = look,
    on_first = on_first,
  }, Waiters)
end

-- Lua 5.2 and 5.3 may collect garbage, and so call finalizers, at each call of a Lua function, not
-- only where memory is taken. So what is read of a line and what is written stand in one function
-- with no call in between.

-- Returns whether the waiter was in this line: if not, a finalizer has woken or cancelled it.
local function unlink(line, waiter)
  local before, after = waiter.before, waiter.after
  if waiter.line ~= line then
    return false
  end
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
  waiter.line, waiter.before, waiter.after = false, false, false
  return true
end

-- Puts a waiter that has just left the line back to its front.
local function put_back(line, waiter)
  local first = line.first
  waiter.line, waiter.after = line, first
  if first then
    first.before = waiter
  else
    line.last = waiter
  end
  line.first = waiter
end

local function leave(line, waiter)
  local was_in_line = unlink(line, waiter)
  if was_in_line then
    stop_timer(waiter)
  end
  return was_in_line
end

local function give_up(waiter)
  local line = waiter.line
  if line and leave(line, waiter) and line.on_left then
    line.on_left(line.owner, waiter)
  end
end

local function expire(waiter)
  give_up(waiter)
  wake_with(waiter.task, false)
end

-- Undoes stand_in_line(), or part of it.
local function cancel(waiting)
  local waiter = waiting.waiter
  waiting.waiter = nil
  if not waiter then
    return
  elseif waiter.line then
    return give_up(waiter)
  end
  stop_timer(waiter)
  if waiter.give_back then
    waiter.give_back(waiter.owner)
  end
end

-- In the iteration after wake().
local function deliver(waiter)
  local waiting = waiter.task
  if waiting.waiter == waiter and is_alive(waiting) then -- else it gave it back
    wake_with(waiting, true)
  end
end

-- A task has one waiter at a time. A served waiter is reused by its task; a woken one is not, since
-- it may still be queued for deliver(). If a woken one is cancelled, give_back(owner) is called.
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
    line = false, -- the line it is in
    before = false,
    after = false,
    timer = nil, -- ends the wait
  } -- and after wake(): give_back, owner; at most eight fields are set, so the table keeps its size
end

-- Keeps a waiter that has left the line, for the next wait of its task.
local function spare(waiter)
  waiter.a, waiter.b, waiter.task.spare_waiter = nil, nil, waiter
end

local function woken(waiting, ...)
  waiting.waiter = nil
  return ...
end

-- For task.begin_wait().
local function stand_in_line(waiting, line, seconds, waiter)
  waiting.waiter = waiter
  if seconds then
    waiter.timer = false -- makes room first: without that it could not be stopped
    waiter.timer = waiting.loop:call_later(seconds, expire, waiter)
  end
  local found = line.look and line.look(line.owner, waiter)
  if found then
    stop_timer(waiter)
    spare(waiter)
    return false, found
  end
  local last = line.last -- no call since look()
  waiter.line, waiter.before = line, last
  if last then
    last.after = waiter
  else
    line.first = waiter
  end
  line.last = waiter
  if line.on_first and line.first == waiter then
    local begun, message, name = line.on_first(line.owner, line)
    if not begun then
      leave(line, waiter)
      return false, begun, message, name
    end
  end
  return true
end

--- Suspends the running task, from begin_wait(). Returns true when it is woken, the arguments of
-- serve(), or false after this many seconds (nil: no limit). `attempt` and its arguments are for
-- the code that serves it.
function Waiters:wait(waiting, seconds, attempt, a, b)
  local waiter = take_waiter(waiting)
  waiter.attempt, waiter.a, waiter.b = attempt, a, b
  local waits, result, message, name = begin_task_wait(waiting, cancel, stand_in_line, self,
    seconds, waiter)
  if not waits then
    return woken(waiting, result, message, name)
  end
  return woken(waiting, suspend(waiting))
end

--- The first waiter that can be woken, or nil. Waiters of closed loops leave the line, and those
-- whose coroutine the user has closed.
function Waiters:head()
  while self.first do
    local waiter = self.first
    local is_lost = status(waiter.task.coroutine) == "dead" or waiter.task.loop:closed()
    if waiter == self.first then -- else a finalizer has woken it
      if not is_lost then
        return waiter
      end
      if leave(self, waiter) then
        is_alive(waiter.task) -- ends it, if it is not
      end
    end
  end
  return nil
end

--- Resumes a waiter of the line with these results; call it from a callback of its loop. Returns
--- false if it is no longer in the line.
function Waiters:serve(waiter, ...)
  if not leave(self, waiter) then
    return false
  end
  spare(waiter)
  wake_with(waiter.task, ...)
  return true
end

--- The same with an error, raised where it waits.
function Waiters:fail(waiter, err)
  if not leave(self, waiter) then
    return false
  end
  fail_with(waiter.task, err)
  return true
end

--- Wakes the first waiter; returns whether there was one. give_back(owner) is called if it is
-- cancelled before it runs.
function Waiters:wake(give_back, owner)
  local waiter = self:head()
  if not waiter then
    return false
  end
  waiter.give_back, waiter.owner = give_back, owner
  if not unlink(self, waiter) then
    return self:wake(give_back, owner)
  end
  -- It leaves before the callback is added: a finalizer may call wake() then.
  local loop = waiter.task.loop
  local ok, err = pcall(loop.add_callback, loop, deliver, waiter)
  if not ok then
    waiter.give_back, waiter.owner = nil, nil
    put_back(self, waiter)
    error(err, 0)
  end
  stop_timer(waiter)
  return true
end

--- Wakes all present waiters.
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

--- Checks the timeout at the start of `method` and returns the running task; nil for a timeout of 0
-- or less, with which the method never suspends and needs no task.
local function begin_wait(method, argument, seconds)
  if seconds ~= nil then
    check_seconds(method, argument, seconds)
    if seconds <= 0 then
      return nil
    end
  end
  return task_to_suspend(method)
end

--- The results of a method that has timed out.
local function timed_out(seconds)
  return nil, task.timed_out(seconds), "ETIMEDOUT"
end

return {
  Waiters = Waiters,
  begin_wait = begin_wait,
  timed_out = timed_out,
}
