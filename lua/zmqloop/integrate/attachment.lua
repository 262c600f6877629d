--- zmqloop.integrate.attachment: what the loops of others have in common that serve one of ours.
-- It ends with detach(), and as well when the loop is closed, or is stopped while no start(), run()
-- or run_sync() of its own is under way in a callback of the other loop: that is what ends then.
local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "zmqloop.Attachment"

-- The method, and while it runs stop() is the loop's own.
local function counted(self, method)
  local function finish(ok, ...)
    self.runs = self.runs - 1
    if not ok then
      error((...), 0)
    end
    return ...
  end
  return function(...)
    self.runs = self.runs + 1
    return finish(pcall(method, ...))
  end
end

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
    runs = 0, -- how many start() and run() are under way, in callbacks of the other loop
    own = {}, -- the loop's own methods, which are others meanwhile
  }, Attachment)
  local own = self.own
  for _, method in ipairs{"start", "run", "stop", "close"} do
    own[method] = loop[method]
  end
  loop.start, loop.run = counted(self, own.start), counted(self, own.run)
  loop.stop = function(...)
    if self.runs > 0 then -- of run_sync() and the like, for which they end
      return own.stop(...)
    end
    self:detach()
  end
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
    for name, method in pairs(self.own) do
      self.loop[name] = method
    end
    self:release()
  end
end

Attachment.__close = Attachment.detach

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
