--- zmqloop.integrate.attachment: shared by the modules that attach a loop to another one.
-- Internal: programs do not require it, and it may change at any time.
-- An attachment ends with detach(), or when the loop is closed or stopped. If a callback of the
-- other loop runs the loop itself, by start(), run() or run_sync(), stop() ends that run instead.
local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

local Attachment = {}
Attachment.__index = Attachment
Attachment.__name = "zmqloop.Attachment"

-- Wraps a method so that it is counted in `runs` while it runs.
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

-- Attaches the loop. detach() calls release(self). Returns nil, message, name if the loop has no
-- descriptor to watch.
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
    runs = 0, -- how many start() and run() are in progress, in callbacks of the other loop
    own = {}, -- the loop's own methods, which are replaced while attached
  }, Attachment)
  local own = self.own
  for _, method in ipairs{"start", "run", "stop", "close"} do
    own[method] = loop[method]
  end
  loop.start, loop.run = counted(self, own.start), counted(self, own.run)
  loop.stop = function(...)
    if self.runs > 0 then
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

--- Ends it, and restores the loop's own methods. Detaching twice is silent.
function Attachment:detach()
  if self.attached then
    self.attached = false
    for name, method in pairs_of(self.own) do
      self.loop[name] = method
    end
    self:release()
  end
end

Attachment.__close = Attachment.detach

--- Runs one iteration of the loop, unless it is running or closed. The other loop calls it when the
-- descriptor is readable or the loop's timeout is over. Raises as step() does.
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
