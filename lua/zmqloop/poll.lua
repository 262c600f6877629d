--- zmqloop.poll: zmq.Poller, for programs that poll instead of using callbacks.
-- Internal: programs do not require it, and it may change at any time.
-- Times are milliseconds and events zmq.POLLIN, zmq.POLLOUT and zmq.POLLERR, as in libzmq;
-- ZMQPoller of zmqloop.ioloop uses seconds and the events of loops.
--
-- The methods of Poller, and the files that define them:
--   here                      new register modify unregister poll
local core = require("zmqloop.core")
local check = require("zmqloop.check")

local Poller = {}
Poller.__index = Poller
Poller.__name = "zmqloop.Poller"

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.entries then
    core.bad_self(method, class, self)
  end
end

--- Creates an empty poller.
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

--- Replaces the events of a registered object; 0 unregisters it.
function Poller:modify(object, events)
  check_self(self, "Poller", "modify")
  if not find(self, object) then
    check.bad("modify", 1, "not registered")
  end
  self:register(object, events)
end

--- Unregisters the object. Raises if it is not registered.
function Poller:unregister(object)
  check_self(self, "Poller", "unregister")
  local i = find(self, object)
  if not i then
    check.bad("unregister", 1, "not registered")
  end
  table.remove(self.entries, i)
end

--- Waits at most this many milliseconds (nil or negative: for ever) until something is ready.
-- Returns a list of {registered object, events} in order of registration; empty on timeout.
-- Returns nil, message, name if a context was terminated (ETERM); raises if a socket is closed.
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
