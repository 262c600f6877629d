---@meta

-- What `zmqloop` has for code in tasks and callbacks; see task.lua.

local zmqloop = {}

---@class zmqloop.Task: zmqloop.Future what `loop:spawn()` returns, or a callback that waits
local Task = {}

---Has CANCELLED raised where the task waits, or where it waits next. What it awaits is
---cancelled as well.
---@return boolean cancelled false if it was done already
function Task:cancel() end

---The task that runs now. In a callback of a loop it is the task that this is when it
---waits: it can be kept, and cancelled from elsewhere. A callback that returns without
---having waited was none, and its task never ends.
---@return zmqloop.Task? task nil outside of tasks and callbacks
function zmqloop.current_task() end

---As the language's, but it can be yielded across in Lua 5.1, too, and takes arguments
---for the function in all versions.
---@param fn fun(...): ...
---@param handler fun(err: any, traceback: string): any called for an error, with the
--- traceback of where it was raised; debug.traceback itself is called as usual
---@param ... any for fn
---@return boolean ok
---@return any ... what fn has returned, or what the handler has
function zmqloop.xpcall(fn, handler, ...) end

---As `zmqloop.xpcall()`, without a handler.
---@param fn fun(...): ...
---@param ... any for fn
---@return boolean ok
---@return any ... what fn has returned, or its error
function zmqloop.pcall(fn, ...) end
