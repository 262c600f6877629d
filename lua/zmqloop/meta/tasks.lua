---@meta

-- Functions for tasks and callbacks, and methods that Lua adds to classes written
-- in C. Each is also described where it is defined: async/*.lua, trace.lua and
-- ioloop.lua.

local zmqloop = {}

---@class zmqloop.Future
local Future = {}

---For a failed future: the error, the stack where it was raised and where each task
---awaited it. Looking at it does not count as handling the error.
---@return string traceback "" unless it has failed
function Future:traceback() end

---@class zmqloop.Task: zmqloop.Future returned by `loop:spawn()`; also a callback that waits
local Task = {}

---Raises CANCELLED where the task waits, or where it waits next. Cancels the
---future it awaits too. The task can catch the error.
---@return boolean cancelled false if it had already ended
function Task:cancel() end

---The stack of a waiting task, with the line where it waits; for a failed one, as
---`Future:traceback()`.
---@return string traceback "" before it has begun, and after it has ended without an error
function Task:traceback() end

---The class of tasks, and of callbacks that wait; derived from `zmqloop.Future`. Whether a value is
---a task tells `getmetatable(value) == zmqloop.Task`. Tasks are created by `loop:spawn()` only.
zmqloop.Task = Task

---The running task. In a callback of a loop: the task that the callback becomes if it
---waits. It can be kept, and cancelled from elsewhere. If the callback returns without
---waiting, that task never ends.
---@return zmqloop.Task? task nil outside tasks and callbacks
function zmqloop.current_task() end

---`xpcall` that can be yielded across in Lua 5.1 too, and takes arguments for fn in
---every version.
---@param fn fun(...): ...
---@param handler fun(err: any, traceback: string): any called for an error, with the traceback of
--- where it was raised; debug.traceback itself is called as usual
---@param ... any for fn
---@return boolean ok
---@return any ... the results of fn, or of the handler
function zmqloop.xpcall(fn, handler, ...) end

---`pcall` that can be yielded across in Lua 5.1 too.
---@param fn fun(...): ...
---@param ... any for fn
---@return boolean ok
---@return any ... the results of fn, or its error
function zmqloop.pcall(fn, ...) end

---The text of an error, the stack where it was raised and where each task awaited it, and the
---stack of the caller. For errors that were caught; also a message handler for `xpcall`.
---@param err any
---@return string traceback
function zmqloop.traceback(err) end

---Loads every module of zmqloop now, so that nothing is read or compiled later. Raises the
---error of one that cannot be loaded, except for the JSON library, which is optional.
function zmqloop.preload() end

local IOLoop = {} ---@type zmqloop.IOLoop

---Like `start()`, but also returns when nothing is left to wait for: no callback,
---timeout or handler, and no stream that receives or sends.
---@return true
---@return integer tasks that have not ended: nothing on this loop will wake them
function IOLoop:run() end

local ZMQStream = {} ---@type zmqloop.ZMQStream

---Cancels the calls of on_recv's callback that are waiting, as `Task:cancel()` does. Tasks in
---`recv()` and `send_wait()` are left alone.
---@return integer cancelled how many calls
function ZMQStream:cancel() end

---@class zmqloop.Attachment returned by `attach()` of the modules in `zmqloop.integrate`
local Attachment = {}

---Ends the attachment. So do `stop()` and `close()` of the attached loop.
function Attachment:detach() end

local integrate = {ioloop = {}} -- zmqloop.integrate.ioloop

---Runs a loop inside another loop of zmqloop.
---@param loop zmqloop.IOLoop
---@param outer? zmqloop.IOLoop IOLoop.current() if nil
---@return zmqloop.Attachment? attachment nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has no descriptor), ECHILD, EMFILE, ENFILE
function integrate.ioloop.attach(loop, outer) end
