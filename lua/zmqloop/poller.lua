--- zmqloop.poller: ZMQPoller, for programs that poll instead of using callbacks.
-- Internal: programs do not require it, and it may change at any time.
-- PyZMQ's eventloop.ioloop.ZMQPoller, but seconds keep their fractions; reached through
-- zmqloop.ioloop.
--
-- The methods of ZMQPoller, and the files that define them:
--   here                      new register modify unregister poll close
local core = require("zmqloop.core")
local check = require("zmqloop.check")

local misuse = core.misuse
local IOLoop = core.IOLoop

local ZMQPoller = {}
ZMQPoller.__index = ZMQPoller
ZMQPoller.__name = "zmqloop.ZMQPoller"

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.loop then
    core.bad_self(method, class, self)
  end
end

--- Creates a poller.
-- It has a loop of its own, so its cost grows only with what is ready. Returns nil, message, name
-- if the system refuses.
function ZMQPoller.new()
  local loop, message, name = IOLoop.configurable_base().new()
  if not loop then
    return loop, message, name
  end
  return setmetatable({
    loop = loop,
    registered = {}, -- object -> true
    ready = {}, -- the results of the current poll
  }, ZMQPoller)
end

local function check_open(self, method)
  check_self(self, "ZMQPoller", method)
  if self.loop:closed() then
    misuse("poller is closed")
  end
end

--- Watches a descriptor, a socket or an object with a descriptor for events: READ, WRITE, or their
-- sum, or "r", "w" or "rw"; "rw" unless given. Registering it again replaces the events; none
-- unregister it. Returns true, or nil, message, name as add_handler().
function ZMQPoller:register(object, events)
  check_open(self, "register")
  events = core.check_watch("register", object, events or "rw")
  if self.registered[object] then
    return self:modify(object, events)
  elseif events == 0 then
    return true
  end
  local ok, message, name = self.loop:add_handler(object, function(found, what)
    self.ready[#self.ready + 1] = {found, what}
  end, events)
  if ok then
    self.registered[object] = true
  end
  return ok, message, name
end

-- Raises if the object is not registered.
local function check_registered(self, method, object)
  check_open(self, method)
  if object == nil or not self.registered[object] then
    check.bad(method, 1, "not registered")
  end
end

--- Replaces the events of a registered object; none unregister it. Raises if it is not registered.
function ZMQPoller:modify(object, events)
  check_registered(self, "modify", object)
  events = core.check_watch("modify", object, events)
  if events == 0 then
    self:unregister(object)
    return true
  end
  return self.loop:update_handler(object, events)
end

--- Unregisters the object. Raises if it is not registered.
function ZMQPoller:unregister(object)
  check_registered(self, "unregister", object)
  self.registered[object] = nil
  self.loop:remove_handler(object)
end

--- Waits at most this many seconds (nil or negative: for ever) until something is ready.
-- Returns a list of {registered object, events}; empty on timeout.
function ZMQPoller:poll(seconds)
  check_open(self, "poll")
  core.check_seconds("poll", 1, seconds)
  if seconds == nil or seconds < 0 then
    seconds = math.huge
  end
  self.ready = {}
  self.loop:step(seconds)
  local ready = self.ready
  self.ready = {}
  return ready
end

--- Unregisters everything; registered objects stay open. Closing twice is silent.
function ZMQPoller:close()
  check_self(self, "ZMQPoller", "close")
  self.registered = {}
  self.loop:close()
end

ZMQPoller.__close = ZMQPoller.close

function ZMQPoller:__tostring()
  return self.loop:closed() and "ZMQPoller (closed)" or "ZMQPoller (open)"
end

return {
  ZMQPoller = setmetatable(ZMQPoller, {__call = function() return ZMQPoller.new() end}),
}
