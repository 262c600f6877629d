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
zmq.proxy = core.proxy
zmq.curve_keypair = core.curve_keypair
zmq.curve_public = core.curve_public
zmq.z85_encode = core.z85_encode
zmq.z85_decode = core.z85_decode
zmq.Poller = require("zmqloop.poll").Poller

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

-- ---- frames ----------------------------------------------------------------------------------

--- A part of a message as libzmq has it, to be made of a string: zmq.Frame("data").
-- Its methods are annotated in meta/frame.lua.
zmq.Frame = setmetatable({new = core.new_frame}, {
  __index = core.Frame,
  __call = function(_, data) return core.new_frame(data) end,
})

-- ---- contexts --------------------------------------------------------------------------------

local Context = core.Context

-- What is done after the options are set, in this order: what is set after a bind or connect does
-- not apply to it.
local acts = {"subscribe", "join", "bind", "connect"}

-- What `socket` takes: the names of options, and of acts.
local known = {}
for _, name in ipairs(core.socket_options) do
  known[name] = "option"
end
for _, name in ipairs(acts) do
  known[name] = "act"
end
known.unsubscribe = nil

-- Options first, in the order of the table of options.
local function apply_options(socket, options)
  for _, name in ipairs(core.socket_options) do
    local value = options[name]
    if value ~= nil and known[name] == "option" then
      local ok, message, code = socket:set(name, value)
      if not ok then
        return ok, message, code
      end
    end
  end
  for _, act in ipairs(acts) do
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

local socket_types = core.socket_types

local function type_number(socket_type)
  if type(socket_type) == "string" then
    local number = socket_types[socket_type]
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

-- A name that is none raises in set().
local function set_options(context, options)
  for option, value in pairs(options) do
    local ok, message, name = context:set(option, value)
    if not ok then
      context:term()
      return ok, message, name
    end
  end
  return context
end

local function new_context(options)
  if type(options) == "userdata" then
    return core.borrow_context(options)
  elseif options ~= nil and type(options) ~= "table" then
    error(("bad argument #1 to 'Context' (table or light userdata expected, got %s)"):format(
      type(options)), 3)
  end
  local context, message, name = core.new_context()
  if not context then
    return context, message, name
  end
  return set_options(context, options or {})
end

local instance

zmq.Context = setmetatable({
  --- Makes a context with options such as {io_threads=2, linger=0}: libzmq's of contexts, and those
  -- of sockets, which are what its sockets begin with if their type knows them. A light userdata,
  -- from another context's handle(), is borrowed: sockets made in it are this state's, which never
  -- terminates it. An unknown name raises. Returns nil, message, name if libzmq refuses a value.
  new = function(options) return new_context(options) end,

  --- The context of this Lua state, made at the first call, and again after it was closed and in a
  -- forked process.
  instance = function()
    if not instance or not core.context_usable(instance) then
      instance = assert(new_context())
    end
    return instance
  end,
}, {
  __index = Context,
  __call = function(_, options) return new_context(options) end,
})

zmq.Socket = Socket

require("zmqloop.monitor") -- methods of Socket

return zmq
