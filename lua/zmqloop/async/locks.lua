--- zmqloop.async.locks: Event, Condition, Semaphore, BoundedSemaphore and Lock, for tasks.
-- Internal: programs do not require it, and it may change at any time.
-- Names and semantics of Tornado's locks. Tasks are served first in, first out, and what was
-- handed to one of them cannot be taken by another. Timeouts are in seconds; nil waits for ever,
-- and 0 not at all, which works outside tasks too. A timeout returns nil, "ETIMEDOUT: ...",
-- "ETIMEDOUT". A task that times out or is cancelled acquires nothing. The functions that wake
-- tasks (set, notify, release) may be called from anywhere and call no code themselves: the tasks
-- run in the next iteration of their loop.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local classes = require("zmqloop.class")
local task = require("zmqloop.async.task")
local waiters = require("zmqloop.async.waiters")

local misuse = core.misuse
local Waiters, begin_wait, timed_out = waiters.Waiters, waiters.begin_wait, waiters.timed_out

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.line then
    core.bad_self(method, class, self)
  end
end

local function name_of(self)
  return self.__name:match("%w+$")
end

-- ---- Event -----------------------------------------------------------------------------------

local Event = classes.new("Event")

--- Creates an event, not set.
function Event.new()
  local event = setmetatable({on = false}, Event)
  event.line = Waiters.new(nil, event, event.is_set) -- empty while the event is set
  return event
end

--- Whether it is set.
function Event:is_set()
  check_self(self, "Event", "is_set")
  return self.on
end

--- Sets it and wakes all waiting tasks; from now on wait() returns at once.
function Event:set()
  check_self(self, "Event", "set")
  self.on = true
  self.line:wake_all()
end

--- Makes wait() wait again. Tasks already woken stay awake.
function Event:clear()
  check_self(self, "Event", "clear")
  self.on = false
end

--- Waits until it is set, at most `timeout` seconds. Returns true, or nil, message, "ETIMEDOUT".
function Event:wait(timeout)
  check_self(self, "Event", "wait")
  local waiting = begin_wait("wait", 1, timeout)
  if self.on or waiting and self.line:wait(waiting, timeout) then
    return true
  end
  return timed_out(timeout)
end

function Event:__tostring()
  return ("Event (%s, %d waiting)"):format(self.on and "set" or "clear", self.line:count())
end

-- ---- Condition -------------------------------------------------------------------------------

local Condition = classes.new("Condition")

-- Has a notification found no waiter since this one called wait()?
local function was_missed(self, waiter)
  return waiter.a ~= self.missed
end

--- Creates a condition: tasks wait until another one notifies them of a change.
function Condition.new()
  local condition = setmetatable({missed = 0}, Condition) -- notifications that woke no task
  condition.line = Waiters.new(nil, condition, was_missed)
  return condition
end

--- Waits until notified, at most `timeout` seconds. Returns true, or false, message, "ETIMEDOUT".
function Condition:wait(timeout)
  check_self(self, "Condition", "wait")
  local missed = self.missed
  local waiting = begin_wait("wait", 1, timeout)
  if waiting and self.line:wait(waiting, timeout, nil, missed) then
    return true
  end
  return false, select(2, timed_out(timeout))
end

--- Wakes the first n waiting tasks, by default one. If one of them is cancelled before it runs, the
-- next one is woken instead.
function Condition:notify(n)
  check_self(self, "Condition", "notify")
  if n ~= nil and type(n) ~= "number" then
    check.expected("notify", 1, "number", n)
  end
  for _ = 1, n or 1 do
    if not self.line:wake(self.notify, self) then
      self.missed = self.missed + 1
      return
    end
  end
end

--- Wakes all waiting tasks.
function Condition:notify_all()
  check_self(self, "Condition", "notify_all")
  self.line:wake_all()
  self.missed = self.missed + 1
end

function Condition:__tostring()
  return ("Condition (%d waiting)"):format(self.line:count())
end

-- ---- Semaphore -------------------------------------------------------------------------------

local Semaphore = classes.new("Semaphore")

-- acquire() without waiting: returns whether it was acquired.
local function take_free(self)
  if self.free > 0 then
    self.free = self.free - 1
    return true
  end
  return false
end

local function new_semaphore(class, value)
  if value == nil then
    value = 1
  elseif type(value) ~= "number" or value < 0 or value % 1 ~= 0 then
    check.number_expected(name_of(class), 1, "integer not below 0", value)
  end
  local semaphore = setmetatable({
    free = value, -- how often it can be acquired at once; 0 while a task waits
    most = nil, -- of a bounded one: the maximum of `free`
    line = nil,
  }, class)
  semaphore.line = Waiters.new(nil, semaphore, take_free)
  return semaphore
end

--- Creates a semaphore that can be acquired `value` times at once, by default once.
function Semaphore.new(value)
  return new_semaphore(Semaphore, value)
end

-- acquire() for the task from begin_wait(), without waiting if that is nil. Returns whether it was
-- acquired.
function Semaphore:take(waiting, timeout)
  return take_free(self) or waiting ~= nil and self.line:wait(waiting, timeout)
end

--- Waits until it can be acquired, at most `timeout` seconds. Returns true, or nil, message,
-- "ETIMEDOUT".
function Semaphore:acquire(timeout)
  check_self(self, "Semaphore", "acquire")
  local waiting = begin_wait("acquire", 1, timeout)
  if self:take(waiting, timeout) then
    return true
  end
  return timed_out(timeout)
end

local function put_back(self)
  if not self.line:wake(put_back, self) then
    self.free = self.free + 1
  end
end

--- Adds one, acquired before or not, and hands it to the first waiting task.
function Semaphore:release()
  check_self(self, "Semaphore", "release")
  if self.most and self.free >= self.most then
    misuse(("%s released too many times"):format(name_of(self)))
  end
  put_back(self)
end

-- Releases it, given the results of task.pcall().
local function release_and_return(self, ok, ...)
  put_back(self)
  if not ok then
    error((...), 0)
  end
  return ...
end

--- Acquires it, calls fn(...), which may wait, and releases it, even if fn raises. Returns the
-- results of fn.
function Semaphore:with(fn, ...)
  check_self(self, "Semaphore", "with")
  core.check_callable("with", 1, fn)
  self:take(begin_wait("with"))
  return release_and_return(self, task.pcall(fn, ...))
end

--- Whether acquire() would have to wait.
function Semaphore:locked()
  check_self(self, "Semaphore", "locked")
  return self.free == 0
end

function Semaphore:__tostring()
  return ("%s (%s, %d waiting)"):format(name_of(self),
    self.free > 0 and ("%d free"):format(self.free) or "locked", self.line:count())
end

local BoundedSemaphore = classes.new("BoundedSemaphore", Semaphore)

--- Like Semaphore.new(), but release() raises if none was acquired.
function BoundedSemaphore.new(value)
  local semaphore = new_semaphore(BoundedSemaphore, value)
  semaphore.most = semaphore.free
  return semaphore
end

-- ---- Lock ------------------------------------------------------------------------------------

local Lock = classes.new("Lock", Semaphore)

--- Creates a lock: a semaphore with a value of 1. Any task may release it, but only while it is
-- held.
function Lock.new()
  local lock = new_semaphore(Lock, 1)
  lock.most = 1
  return lock
end

return {
  Event = Event,
  Condition = Condition,
  Semaphore = Semaphore,
  BoundedSemaphore = BoundedSemaphore,
  Lock = Lock,
}
