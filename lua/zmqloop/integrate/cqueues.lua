--- zmqloop.integrate.cqueues: a loop inside a controller of cqueues.
--
--   local attached = require("zmqloop.integrate.cqueues").attach(loop, cq)
--   cq:loop()
--
-- While it is attached a coroutine of the controller serves the loop, and cq:loop() does not
-- return by itself; loop:stop(), loop:close() and attached:detach() end that. Errors in callbacks
-- of the loop are handled as usual; those that on_error("raise") raises come out of cq:step() and
-- cq:loop(), and the loop stays attached.
local Attachment = require("zmqloop.integrate.attachment")

local integrate = {}

local function serve(attachment, cq, pollable)
  local poll = require("cqueues").poll
  while attachment.attached do
    poll(pollable)
    local ok, err = pcall(attachment.serve, attachment)
    if not ok then
      cq:wrap(serve, attachment, cq, pollable)
      error(err, 0)
    end
  end
end

--- Makes the controller cq serve the loop. Returns an object with detach(); or nil, message, name:
-- ENOTSUP for the poll backend, which has no descriptor, ECHILD in a forked process, EMFILE,
-- ENFILE.
function integrate.attach(loop, cq)
  local attachment, message, name = Attachment.new(loop, function(self)
    cq:cancel(self.fd) -- wakes serve(), and drops the descriptor
  end)
  if not attachment then
    return nil, message, name
  end
  cq:wrap(serve, attachment, cq, assert(loop:pollable()))
  return attachment
end

return integrate
