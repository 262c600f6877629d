---@meta zmqloop.locks

-- Locks between tasks. Tasks are served first in, first out, and what was handed to one of
-- them cannot be taken by another.

---Set or not; tasks wait until it is set.
---@class zmqloop.Event
---@overload fun(): zmqloop.Event
local Event = {}

---Creates an event, not set; `Event()` is the same.
---@return zmqloop.Event event
function Event.new() end

---Whether it is set.
---@return boolean
function Event:is_set() end

---Sets it and wakes all waiting tasks; from now on `wait()` returns at once.
function Event:set() end

---Makes `wait()` wait again. Tasks already woken stay awake.
function Event:clear() end

---Waits until it is set. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil
---@return true? set nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Event:wait(timeout) end

---Tasks wait until another one notifies them of a change.
---@class zmqloop.Condition
---@overload fun(): zmqloop.Condition
local Condition = {}

---Creates a condition; `Condition()` is the same.
---@return zmqloop.Condition condition
function Condition.new() end

---Waits until notified. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil
---@return boolean notified false on failure
---@return string? message
---@return string? name ETIMEDOUT
function Condition:wait(timeout) end

---Wakes the tasks that have waited longest. If one of them is cancelled before it runs, the
---next one is woken instead.
---@param n? integer how many; 1 if nil
function Condition:notify(n) end

---Wakes all waiting tasks.
function Condition:notify_all() end

---Can be acquired several times at once; then tasks wait until it is released.
---@class zmqloop.Semaphore
---@overload fun(value?: integer): zmqloop.Semaphore
local Semaphore = {}

---Creates a semaphore; `Semaphore(value)` is the same.
---@param value? integer how often it can be acquired at once; 1 if nil
---@return zmqloop.Semaphore semaphore
function Semaphore.new(value) end

---Waits until it can be acquired. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil
---@return true? acquired nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Semaphore:acquire(timeout) end

---Adds one, acquired before or not, and hands it to the first waiting task. A
---BoundedSemaphore and a Lock raise if none was acquired.
function Semaphore:release() end

---Acquires it, calls `fn(...)`, which may wait, and releases it, even if fn raises. Only
---inside a task. Raises the errors of fn.
---
---Errors: CANCELLED (the task was cancelled)
---@param fn fun(...): ...
---@param ... any for fn
---@return any ... the results of fn
function Semaphore:with(fn, ...) end

---Whether `acquire()` would have to wait.
---@return boolean
function Semaphore:locked() end

---A semaphore whose `release()` raises if none was acquired.
---@class zmqloop.BoundedSemaphore: zmqloop.Semaphore
---@overload fun(value?: integer): zmqloop.BoundedSemaphore
local BoundedSemaphore = {}

---Creates one; `BoundedSemaphore(value)` is the same.
---@param value? integer how often it can be acquired at once; 1 if nil
---@return zmqloop.BoundedSemaphore semaphore
function BoundedSemaphore.new(value) end

---A semaphore with a value of 1. Any task may release it, but only while it is held.
---@class zmqloop.Lock: zmqloop.BoundedSemaphore
---@overload fun(): zmqloop.Lock
local Lock = {}

---Creates a lock; `Lock()` is the same.
---@return zmqloop.Lock lock
function Lock.new() end

---The module: locks between tasks.
---@class zmqloop.locks
---@field Event zmqloop.Event wakes all tasks that wait for it
---@field Condition zmqloop.Condition wakes tasks one by one
---@field Semaphore zmqloop.Semaphore limits how many tasks do something at once
---@field BoundedSemaphore zmqloop.BoundedSemaphore one that cannot be released too often
---@field Lock zmqloop.Lock lets one task do something at a time
local locks = {}

return locks
