--- zmqloop.integrate.attachment: what the loops of others have in common that serve one of ours.
-- It ends with detach(), and as well when the loop is stopped or closed.
local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "zmqloop.Attachment"

-- Takes the loop into service, until release(self) is called, by detach(). Returns nil, message,
-- name if the loop has no descriptor to be watched.
function Attachment.new(loop, release)
  local fd, message, name = loop:fd()
  if not fd then
    return nil, message, name
  end
  local self = setmetatable({
    loop = loop,
    fd = fd,
    release = release,
    attached = true,
    stop = loop.stop, -- its own methods, which are others meanwhile
    close = loop.close,
  }, Attachment)
  loop.stop = function() self:detach() end
  loop.close = function(...)
    self:detach()
    return loop.close(...)
  end
  return self
end

--- Ends it: the loop is no longer served, and as it was otherwise. Detaching twice is silent.
function Attachment:detach()
  if self.attached then
    self.attached = false
    self.loop.stop, self.loop.close = self.stop, self.close
    self:release()
  end
end

--- One iteration of the loop, unless it is running or closed; to be called when the descriptor is
-- readable or the loop's timeout is over. Raises what step() raises.
function Attachment:serve()
  if self.loop:closed() then
    self:detach()
  elseif self.attached and not self.loop:running() then
    self.loop:step(0)
  end
end

function Attachment:__tostring()
  return ("Attachment (%s): %s"):format(self.attached and "attached" or "detached",
    tostring(self.loop))
end

return Attachment
