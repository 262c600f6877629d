---@meta zmqloop.future

-- Futures and tasks.

---A result that is there later: a value, an error, or that it was cancelled. Its callbacks are
---called in the iteration after it is done. An error that nothing looks at, by `result()`,
---`error()` or `await()`, is reported through the loop when the future is collected.
---@class zmqloop.Future
---@overload fun(loop?: zmqloop.IOLoop): zmqloop.Future
local Future = {}

---Makes a pending future; `Future(loop)` is the same.
---@param loop? zmqloop.IOLoop calls its callbacks; IOLoop.current() if nil
---@return zmqloop.Future future
function Future.new(loop) end

---Finishes it with these results, nils included.
---
---Errors: "future is done already"
---@param ... any
---@return boolean accepted false if it was cancelled
function Future:set_result(...) end

---Finishes it with an error.
---
---Errors: "future is done already"
---@param err any but nil
---@return boolean accepted false if it was cancelled
function Future:set_error(err) end

---Cancels it: CANCELLED is raised in what waits for it.
---@return boolean cancelled false if it was done
function Future:cancel() end

---Whether it has a result or an error, or was cancelled.
---@return boolean
function Future:done() end

---Whether it was cancelled.
---@return boolean
function Future:cancelled() end

---Its results; raises its error.
---
---Errors: CANCELLED, "future is not done"
---@return any ...
function Future:result() end

---Its error.
---
---Errors: "future is not done"
---@return any err CANCELLED if it was cancelled, nil if it has a result
function Future:error() end

---For a failed future: the error, the stack where it was raised and where each task
---awaited it. Looking at it does not count as handling the error.
---@return string traceback "" unless it has failed
function Future:traceback() end

---Calls `fn(future)` in the iteration after it is done, even if it is done already.
---@param fn zmqloop.Callable
function Future:add_done_callback(fn) end

---Suspends the running task until the future is done; raises its error. Cancelling the task
---cancels the future too. Only inside a task.
---
---Errors: ETIMEDOUT (the future stays pending), CANCELLED
---@param timeout? number seconds; no limit if nil
---@return any ... its results
function Future:await(timeout) end

---A function that may wait, in a coroutine of its own, and the future of what it returns.
---`loop:spawn()` returns one; a callback that waits becomes one. Whether a value is a task tells
---`getmetatable(value) == zmqloop.Task`.
---@class zmqloop.Task: zmqloop.Future
local Task = {}

---Raises: the outcome of a task is what its function returns.
---@param ... any
function Task.set_result(...) end

---Raises: use `cancel()` to end a task.
---@param err any
function Task.set_error(err) end

---Raises CANCELLED where the task waits, or where it waits next. Cancels the
---future it awaits too. The task can catch the error.
---@return boolean cancelled false if it had already ended
function Task:cancel() end

---The stack of a waiting task, with the line where it waits; for a failed one, as
---`Future:traceback()`.
---@return string traceback "" before it has begun, and after it has ended without an error
function Task:traceback() end

---The module: the same names as `zmqloop`.
---@class zmqloop.future: zmqloop
local future = {}

return future
