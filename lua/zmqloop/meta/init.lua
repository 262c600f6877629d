---@meta zmqloop

-- The module `zmqloop`: the usual names of all others, and functions for tasks.
--
-- A function that waits suspends the running task, or callback of a loop, and not the
-- loop. Where it says "only inside a task", it raises elsewhere; a callback of a loop
-- becomes a task when it first waits.

---The module. Times are seconds.
---@class zmqloop
---@field IOLoop zmqloop.IOLoop the class of loops
---@field ZMQIOLoop zmqloop.IOLoop the same, under PyZMQ's name
---@field ZMQStream zmqloop.ZMQStream the class of streams
---@field DelayedCallback zmqloop.DelayedCallback calls once
---@field PeriodicCallback zmqloop.PeriodicCallback calls periodically
---@field ZMQPoller zmqloop.ZMQPoller polls without callbacks
---@field Future zmqloop.Future the class of futures
---@field Task zmqloop.Task the class of tasks, which `spawn` creates
---@field CANCELLED string the error that cancelling raises: "ECANCELED: cancelled"
---@field Event zmqloop.Event wakes all tasks that wait for it
---@field Condition zmqloop.Condition wakes tasks one by one
---@field Semaphore zmqloop.Semaphore limits how many tasks do something at once
---@field BoundedSemaphore zmqloop.BoundedSemaphore one that cannot be released too often
---@field Lock zmqloop.Lock lets one task do something at a time
---@field Queue zmqloop.Queue first in, first out
---@field PriorityQueue zmqloop.PriorityQueue the least item first
---@field LifoQueue zmqloop.LifoQueue last in, first out
---@field zmq zmqloop.zmq the module `zmqloop.zmq`
---@field _VERSION string such as "zmqloop 0.1.0"
local zmqloop = {}

---PyZMQ's `install()`. Nothing has to be replaced here: the global loop is always zmqloop's.
---@return zmqloop.IOLoop loop IOLoop.instance()
function zmqloop.install() end

---Loads every module of zmqloop now, so that nothing is read or compiled later. Raises the
---error of one that cannot be loaded, except for the JSON library, which is optional.
function zmqloop.preload() end

---`spawn` of IOLoop.current().
---@param fn zmqloop.Callable
---@param ... any for fn
---@return zmqloop.Task task
function zmqloop.spawn(fn, ...) end

---Suspends the running task. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param seconds number 0 lets the loop run once
function zmqloop.sleep(seconds) end

---Suspends the running task until the future is done; raises its error. Cancelling the task
---cancels the future too, see `shield`. Only inside a task.
---
---Errors: ETIMEDOUT (the future stays pending), CANCELLED
---@param future zmqloop.Future
---@param timeout? number seconds; no limit if nil
---@return any ... its results
function zmqloop.await(future, timeout) end

---Like `await`, but when the time is up it cancels the future, and raises when that has ended.
---Only inside a task.
---
---Errors: ETIMEDOUT, CANCELLED
---@param seconds number
---@param future zmqloop.Future
---@return any ... its results
function zmqloop.with_timeout(seconds, future) end

---Waits for all futures. If some failed, raises the error of the first of them, in the order
---of the list, when all are done. Cancelling the task cancels them all; it resumes when they
---have ended. Only inside a task.
---
---Errors: CANCELLED
---@param futures table<any, zmqloop.Future> a list or a map
---@return table<any, any> results the first result of each, under the same keys
function zmqloop.gather(futures) end

---An iterator over the futures in the order in which they are done. Several tasks may share
---it. Lua 5.1 cannot suspend in a `for`: call the iterator in a `while` there. Only inside a
---task.
---
---Errors: CANCELLED
---@param futures table<any, zmqloop.Future> a list or a map
---@return fun(): zmqloop.Future?, any next the future and its key
function zmqloop.as_completed(futures) end

---A future with the outcome of another one, which cancelling it does not cancel:
---`await(shield(f))`.
---@param inner zmqloop.Future
---@return zmqloop.Future future
function zmqloop.shield(inner) end

---The running task. In a callback of a loop: the task that the callback becomes if it
---waits. It can be kept, and cancelled from elsewhere. If the callback returns without
---waiting, that task never ends.
---@return zmqloop.Task? task nil outside tasks and callbacks
function zmqloop.current_task() end

---`pcall` that can be yielded across in Lua 5.1 too.
---@param fn fun(...): ...
---@param ... any for fn
---@return boolean ok
---@return any ... the results of fn, or its error
function zmqloop.pcall(fn, ...) end

---`xpcall` that can be yielded across in Lua 5.1 too, and takes arguments for fn in
---every version.
---@param fn fun(...): ...
---@param handler fun(err: any, traceback: string): any called for an error, with the traceback of
--- where it was raised; debug.traceback itself is called as usual
---@param ... any for fn
---@return boolean ok
---@return any ... the results of fn, or of the handler
function zmqloop.xpcall(fn, handler, ...) end

---The text of an error, the stack where it was raised and where each task awaited it, and the
---stack of the caller. For errors that were caught; also a message handler for `xpcall`.
---@param err any
---@return string traceback
function zmqloop.traceback(err) end

return zmqloop
