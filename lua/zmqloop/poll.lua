--- zmqloop.poll: zmq.Poller, for those who ask instead of being called.
-- Times are milliseconds and events zmq.POLLIN, zmq.POLLOUT and zmq.POLLERR, as in libzmq;
-- ZMQPoller of zmqloop.ioloop has seconds and the events of loops.
local core = require("zmqloop.core")
local check = require("zmqloop.check")

local Poller = {}
Poller.__index = Poller
Poller.__name = "zmqloop.Poller"

-- Raises if the self of a method is none: most likely '.' was written for ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.entries then
    core.bad_self(method, class, self)
  end
end

--- Makes a poller, which watches nothing yet.
function Poller.new()
  return setmetatable({
    entries = {}, -- in order of registration, see core.poll_entry
  }, Poller)
end

local function find(self, object)
  for i, entry in ipairs(self.entries) do
    if rawequal(entry[1], object) then
      return i
    end
  end
end

--- Watches a socket, a descriptor or an object with a descriptor for events, by default
-- zmq.POLLIN + zmq.POLLOUT. Registering it again replaces the events; 0 unregisters it.
function Poller:register(object, events)
  check_self(self, "Poller", "register")
  local entry = core.poll_entry("register", object, events)
  local i = find(self, object)
  if entry[2] ~= 0 then
    self.entries[i or #self.entries + 1] = entry
  elseif i then
    table.remove(self.entries, i)
  end
end

--- Replaces the events of what is registered; 0 unregisters it.
function Poller:modify(object, events)
  check_self(self, "Poller", "modify")
  if not find(self, object) then
    check.bad("modify", 1, "not registered")
  end
  self:register(object, events)
end

--- Ends the watch. Raises if the object is not registered.
function Poller:unregister(object)
  check_self(self, "Poller", "unregister")
  local i = find(self, object)
  if not i then
    check.bad("unregister", 1, "not registered")
  end
  table.remove(self.entries, i)
end

--- Waits at most so many milliseconds (nil or negative: for ever) until something is ready.
-- Returns a list of {what was registered, events} in order of registration; empty when the time is
-- up. Returns nil, message, name if a context was terminated (ETERM); raises if a socket is closed.
function Poller:poll(milliseconds)
  check_self(self, "Poller", "poll")
  return core.poll_items(self.entries, milliseconds)
end

function Poller:__tostring()
  return ("Poller (%d registered)"):format(#self.entries)
end

return {
  Poller = setmetatable(Poller, {__call = function() return Poller.new() end}),
}
