--- zmqloop.socket: sockets, reached through zmqloop.zmq.
-- Internal: programs do not require it, and it may change at any time.
--
-- The methods of Socket, and the files that define them:
--   csrc/lua/socket_address.c bind connect unbind disconnect join leave
--   csrc/lua/socket_send.c    send send_multipart
--   csrc/lua/socket_recv.c    recv recv_multipart
--   csrc/lua/poller.c         poll
--   csrc/lua/option_value.c   set get setsockopt getsockopt
--   csrc/lua/socket_life.c    close closed handle
--   csrc/lua/monitor.c        disable_monitor
--   here                      subscribe unsubscribe bind_to_random_port
--   monitor.lua               monitor get_monitor_socket
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local classes = require("zmqloop.class")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

local Socket = core.Socket

local function each(value, act)
  if type(value) ~= "table" then
    return act(value)
  end
  for _, item in ipairs(value) do
    local ok, message, name = act(item)
    if not ok then
      return ok, message, name
    end
  end
  return true
end

local function check_topics(socket, method, topic)
  if not core.is_socket(socket) then
    core.bad_self(method, "socket", socket)
  end
  each(topic, function(item)
    if type(item) ~= "string" then
      check.expected(method, 1, "string or list of strings", item)
    end
    return true
  end)
end

--- Subscribes a SUB socket to messages that begin with the topic, or with each of a list.
function Socket:subscribe(topic)
  check_topics(self, "subscribe", topic)
  return each(topic, function(item) return self:set("subscribe", item) end)
end

--- Cancels one subscription to the topic, or to each of a list.
function Socket:unsubscribe(topic)
  check_topics(self, "unsubscribe", topic)
  return each(topic, function(item) return self:set("unsubscribe", item) end)
end

-- The default range, and the allowed values of the options.
local port_options = {
  min = {49152, 1, 65535}, max = {65535, 1, 65535}, tries = {100, 1, 65535},
}

local function bad_port_option(text)
  check.bad("bind_to_random_port", 2, text)
end

-- Returns min, max and tries.
local function check_ports(options)
  if type(options) ~= "table" then
    bad_port_option(("table expected, got %s"):format(type(options)))
  end
  for name in pairs_of(options) do
    if not port_options[name] then
      core.unknown_option("bind_to_random_port", 2, name, port_options)
    end
  end
  local values = {}
  for name, limits in pairs_of(port_options) do
    local value = options[name]
    if value == nil then
      value = limits[1]
    elseif type(value) ~= "number" or value % 1 ~= 0 then
      bad_port_option(("option '%s': integer expected, got %s"):format(name, tostring(value)))
    elseif value < limits[2] or value > limits[3] then
      bad_port_option(("option '%s': out of range"):format(name))
    end
    values[name] = value
  end
  if values.min > values.max then
    bad_port_option("min is above max")
  end
  return values.min, values.max, values.tries
end

-- The system chooses. ipc and inproc would treat the port as part of the name.
local function bind_to_any_port(socket, address)
  local transport = address:match("^(%w+)://")
  if transport == "ipc" or transport == "inproc" then
    return nil, ("EINVAL: invalid argument (%s has no ports)"):format(address), "EINVAL"
  end
  local ok, message, name = socket:bind(address .. ":*")
  if not ok then
    return ok, message, name
  end
  return tonumber(socket:get("last_endpoint"):match(":(%d+)/?$"))
end

--- Binds to a free port of the address, such as "tcp://127.0.0.1", and returns the port.
-- Without options the system chooses; {min=, max=, tries=} tries random ports of that range.
-- Failures other than EADDRINUSE are returned at once.
function Socket:bind_to_random_port(address, options)
  if type(self) ~= "userdata" then
    core.bad_self("bind_to_random_port", "socket", self)
  end
  if type(address) ~= "string" then
    check.expected("bind_to_random_port", 1, "string", address)
  end
  if options == nil then
    return bind_to_any_port(self, address)
  end
  local min, max, tries = check_ports(options)
  local ok, message, name
  for _ = 1, tries do
    local port = math.random(min, max)
    ok, message, name = self:bind(("%s:%d"):format(address, port))
    if ok then
      return port
    elseif name ~= "EADDRINUSE" then
      break
    end
  end
  return nil, message, name
end

return {
  Socket = classes.extend(Socket, {monitor = "monitor", get_monitor_socket = "monitor"}),
  each = each,
}
