---@meta zmqloop.queues

-- Queues between tasks.

---First in, first out. Tasks are served first in, first out too.
---@class zmqloop.Queue
---@overload fun(maxsize?: number): zmqloop.Queue
local Queue = {}

---Creates a queue; `Queue(maxsize)` is the same.
---@param maxsize? number items at most, rounded up; nil or 0: no limit
---@return zmqloop.Queue queue
function Queue.new(maxsize) end

---Puts an item in, and waits for room. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param item any but nil
---@param timeout? number seconds; no limit if nil
---@return true? put nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Queue:put(item, timeout) end

---Puts an item in without waiting, from anywhere.
---@param item any but nil
---@return true? put nil on failure
---@return string? message
---@return string? name EAGAIN (the queue is full)
function Queue:put_nowait(item) end

---Takes the next item out, and waits for one. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil
---@return any item nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Queue:get(timeout) end

---Takes the next item out without waiting, from anywhere.
---@return any item nil on failure
---@return string? message
---@return string? name EAGAIN (the queue is empty)
function Queue:get_nowait() end

---For `for item in queue:items() do`: `get()` for ever. Lua 5.1 cannot suspend in a `for`: call
---the iterator in a `while` there.
---@return fun(): any next
---@return zmqloop.Queue self
function Queue:items() end

---Reports that the work on an item taken from the queue is done.
---
---Errors: "task_done() called too many times"
function Queue:task_done() end

---Waits until `task_done()` was called for every item that was put in. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil
---@return true? done nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Queue:join(timeout) end

---How many items `get_nowait()` could take out now.
---@return integer
function Queue:qsize() end

---Whether `get()` would have to wait.
---@return boolean
function Queue:empty() end

---Whether `put()` would have to wait.
---@return boolean
function Queue:full() end

---A queue whose least item is taken out first; equal items in the order in which they came.
---@class zmqloop.PriorityQueue: zmqloop.Queue
---@overload fun(maxsize?: number, before?: fun(a: any, b: any): boolean): zmqloop.PriorityQueue
local PriorityQueue = {}

---Creates one; `PriorityQueue(...)` is the same.
---@param maxsize? number items at most, rounded up; nil or 0: no limit
---@param before? fun(a: any, b: any): boolean whether a is less than b; `a < b` if nil. `put()` and
--- `get()` raise its errors, having changed nothing
---@return zmqloop.PriorityQueue queue
function PriorityQueue.new(maxsize, before) end

---A queue whose last item is taken out first.
---@class zmqloop.LifoQueue: zmqloop.Queue
---@overload fun(maxsize?: number): zmqloop.LifoQueue
local LifoQueue = {}

---Creates one; `LifoQueue(maxsize)` is the same.
---@param maxsize? number items at most, rounded up; nil or 0: no limit
---@return zmqloop.LifoQueue queue
function LifoQueue.new(maxsize) end

---The module: queues between tasks.
---@class zmqloop.queues
---@field Queue zmqloop.Queue first in, first out
---@field PriorityQueue zmqloop.PriorityQueue the least item first
---@field LifoQueue zmqloop.LifoQueue last in, first out
local queues = {}

return queues
