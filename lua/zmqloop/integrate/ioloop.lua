--- zmqloop.integrate.ioloop: a loop inside another loop of zmqloop.
--
--   local attached = require("zmqloop.integrate.ioloop").attach(inner, outer)
--   outer:start()
--
-- For example for a control socket: the outer loop serves it, and so can a long callback, by
-- calling inner:step(0) in a count hook; see examples/interrupt.lua. inner:stop(), inner:close()
-- and attached:detach() end it, as for other loops.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local Attachment = require("zmqloop.integrate.attachment")

local ioloop = {}

--- Makes the outer loop, by default IOLoop.current(), serve this one, timers included. Returns an
-- object with detach(); or nil, message, name: ENOTSUP (the poll backend has no descriptor), ECHILD
-- (in a forked child), EMFILE, ENFILE.
function ioloop.attach(loop, outer)
  core.check_loop("attach", 1, loop)
  core.check_loop("attach", 2, outer)
  outer = outer or core.IOLoop.current()
  if loop == nil or outer == loop then
    check.bad("attach", 1, "a loop other than the outer one expected")
  end
  local fd, timer
  local attachment, message, name = Attachment.new(loop, function()
    if timer then
      timer:cancel()
    end
    if not outer:closed() then
      outer:remove_handler(fd)
    end
  end)
  if not attachment then
    return nil, message, name
  end
  fd = attachment.fd

  local serve
  local function arm()
    local seconds = attachment.attached and loop:timeout()
    if not seconds then
      timer:cancel()
    else
      timer:again(seconds)
    end
  end
  -- A timer started outside serve() that is due before all others makes the descriptor readable.
  function serve()
    attachment:serve()
    arm()
  end
  timer = outer:call_later(0, serve)
  local added
  added, message, name = outer:add_handler(fd, serve, "r")
  if not added then
    attachment:detach()
    return nil, message, name
  end
  return attachment
end

return ioloop
