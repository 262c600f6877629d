---@meta zmqloop.integrate.ioloop

---The module: a loop inside another one.
---@class zmqloop.integrate.ioloop
local integrate = {}

---Runs a loop inside another loop of zmqloop, timers included.
---@param loop zmqloop.IOLoop
---@param outer? zmqloop.IOLoop IOLoop.current() if nil
---@return zmqloop.Attachment? attachment nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has no descriptor), ECHILD, EMFILE, ENFILE
function integrate.attach(loop, outer) end

return integrate
