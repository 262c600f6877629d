--- zmqloop.integrate.luv: a loop inside libuv's, for luv and Neovim.
--
--   local attached = require("zmqloop.integrate.luv").attach(loop)
--   uv.run()
--
-- While it is attached uv.run() serves the loop, and does not return by itself; loop:stop(),
-- loop:close() and attached:detach() end that. Errors in callbacks of the loop are handled as
-- usual; those that on_error("raise") raises are passed to luv.
local Attachment = require("zmqloop.integrate.attachment")

local luv = {}

-- Sets the timer to end the wait that is about to begin at the loop's next deadline.
local function set_timer(attachment, timer, serve)
  if attachment.loop:closed() then
    attachment:detach()
    return
  end
  local seconds = attachment.loop:timeout()
  if seconds then
    timer:start(math.ceil(math.min(seconds, 1e9) * 1000), 0, serve)
  else
    timer:stop()
  end
end

--- Makes the libuv loop of `uv`, by default require("luv"), serve this one; in Neovim uv is vim.uv
-- or vim.loop. Returns an object with detach(); or nil, message, name: ENOTSUP for the poll
-- backend, which has no descriptor, ECHILD in a forked process, EMFILE, ENFILE.
function luv.attach(loop, uv)
  uv = uv or require("luv")
  local poll, timer, prepare
  local attachment, message, name = Attachment.new(loop, function()
    poll:close()
    timer:close()
    prepare:close()
  end)
  if not attachment then
    return nil, message, name
  end
  local function serve() attachment:serve() end
  poll, timer, prepare = uv.new_poll(attachment.fd), uv.new_timer(), uv.new_prepare()
  poll:start("r", serve)
  prepare:start(function() set_timer(attachment, timer, serve) end)
  return attachment
end

return luv
