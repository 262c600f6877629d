---@meta zmqloop.integrate.cqueues

---The module: a loop inside another one.
---@class zmqloop.integrate.cqueues
local integrate = {}

---Makes a controller of cqueues serve the loop. `cq:loop()` does not return by itself while it
---is attached. Errors that `on_error("raise")` raises come out of `cq:step()` and `cq:loop()`.
---@param loop zmqloop.IOLoop
---@param cq table a controller, from `cqueues.new()`
---@return zmqloop.Attachment? attachment nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has no descriptor), ECHILD, EMFILE, ENFILE
function integrate.attach(loop, cq) end

return integrate
