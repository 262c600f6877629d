--- zmqloop.zmq: contexts, sockets, constants.
-- What PyZMQ's `zmq` is. Times are milliseconds, as in libzmq (poll, linger, rcvtimeo).
-- The world's failures return nil, "EADDRINUSE: address already in use (tcp://...)", "EADDRINUSE";
-- misuse raises.
local core = require("zmqloop.core")

local zmq = {}
for name, value in pairs(core.constants) do
  zmq[name] = value
end

zmq.has = core.has
zmq.version = core.version

-- ---- sockets ---------------------------------------------------------------------------------

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

--- Subscribes a SUB socket to messages that begin with the topic, or with each of a list.
function Socket:subscribe(topic)
  return each(topic, function(item) return self:set("subscribe", item) end)
end

--- Takes one subscription to the topic back, or to each of a list.
function Socket:unsubscribe(topic)
  return each(topic, function(item) return self:set("unsubscribe", item) end)
end

local FIRST_PORT, LAST_PORT, TRIES = 49152, 65535, 100

local range_options = {min = true, max = true, tries = true}

local function check_range(options)
  for name in pairs(options) do
    if not range_options[name] then
      error(("bad argument #2 to 'bind_to_random_port' (unknown option '%s')"):format(
        tostring(name)), 3)
    end
  end
end

--- Binds to a free port of the address, such as "tcp://127.0.0.1", and returns the port.
-- Without options the system chooses; {min=, max=, tries=} tries random ports of that range.
-- Failures other than EADDRINUSE are returned at once.
function Socket:bind_to_random_port(address, options)
  if type(address) ~= "string" then
    error(("bad argument #1 to 'bind_to_random_port' (string expected, got %s)"):format(
      type(address)), 2)
  end
  if not options then
    local ok, message, name = self:bind(address .. ":*")
    if not ok then
      return ok, message, name
    end
    return tonumber(self:get("last_endpoint"):match(":(%d+)$"))
  end
  check_range(options)
  local min, max = options.min or FIRST_PORT, options.max or LAST_PORT
  local ok, message, name
  for _ = 1, options.tries or TRIES do
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

-- ---- contexts --------------------------------------------------------------------------------

local Context = core.Context

-- Options first, in the order of libzmq's own table, then subscriptions, then addresses: what is
-- set after a bind or connect does not apply to it.
local function apply_options(socket, options)
  for _, name in ipairs(core.socket_options) do
    local value = options[name]
    if name == "subscribe" or name == "unsubscribe" then
      value = nil
    end
    if value ~= nil then
      local ok, message, code = socket:set(name, value)
      if not ok then
        return ok, message, code
      end
    end
  end
  for _, act in ipairs({"subscribe", "bind", "connect"}) do
    if options[act] ~= nil then
      local ok, message, code = each(options[act], function(item)
        return socket[act](socket, item)
      end)
      if not ok then
        return ok, message, code
      end
    end
  end
  return true
end

local known = {bind = true, connect = true}
for _, name in ipairs(core.socket_options) do
  known[name] = true
end

local function check_options(options)
  if type(options) ~= "table" then
    error(("bad argument #2 to 'socket' (table expected, got %s)"):format(type(options)), 3)
  end
  for name in pairs(options) do
    if not known[name] then
      error(("bad argument #2 to 'socket' (%s)"):format(core.unknown_option(tostring(name))), 3)
    end
  end
end

local function type_number(socket_type)
  if type(socket_type) == "string" then
    local number = zmq[socket_type]
    if not number then
      error(("bad argument #1 to 'socket' (unknown type '%s')"):format(socket_type), 3)
    end
    return number
  end
  return socket_type
end

--- Makes a socket of a type, zmq.REP or "REP".
-- Options is a table such as {linger=0, rcvhwm=10, subscribe={"a"}, bind="tcp://127.0.0.1:5555",
-- connect={...}}: options are set before subscriptions, these before bind, bind before connect. An
-- unknown name raises. A failure closes the socket and is returned.
function Context:socket(socket_type, options)
  local number = type_number(socket_type)
  if options ~= nil then
    check_options(options)
  end
  local socket, failure, failure_name = core.new_socket(self, number)
  if not socket or options == nil then
    return socket, failure, failure_name
  end
  local applied, ok, message, name = pcall(apply_options, socket, options)
  if applied and ok then
    return socket
  end
  socket:close(0)
  if not applied then
    error(ok, 0)
  end
  return nil, message, name
end

local instance

local function new_context(options)
  local context, message, name = core.new_context()
  if not context then
    return context, message, name
  end
  for option, value in pairs(options or {}) do
    local ok
    ok, message, name = context:set(option, value)
    if not ok then
      return ok, message, name
    end
  end
  return context
end

zmq.Context = setmetatable({
  new = new_context,

  --- The context of this Lua state, made at the first call, and again after it was closed.
  instance = function()
    if not instance or instance:closed() then
      instance = assert(new_context())
    end
    return instance
  end,
}, {
  __index = Context,
  __call = function(_, options) return new_context(options) end,
})

zmq.Socket = Socket

return zmq
