---@meta zmqloop.integrate.luv

---The module: a loop inside another one.
---@class zmqloop.integrate.luv
local integrate = {}

---Makes libuv's loop, of luv or Neovim, serve this one. `uv.run()` does not return by itself
---while it is attached. Errors that `on_error("raise")` raises are passed to luv.
---@param loop zmqloop.IOLoop
---@param uv? table require("luv") if nil; in Neovim vim.uv or vim.loop
---@return zmqloop.Attachment? attachment nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has no descriptor), ECHILD, EMFILE, ENFILE
function integrate.attach(loop, uv) end

return integrate
