--- zmqloop.zmq: contexts, sockets, constants.
-- The counterpart of PyZMQ's `zmq`. Times are in milliseconds, as in libzmq (poll, linger,
-- rcvtimeo). Failures return nil, "EADDRINUSE: address already in use (tcp://...)", "EADDRINUSE";
-- misuse raises.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("zmq") then
  return classes.registered("zmq")
end

local check = require("zmqloop.check")
local limits = require("zmqloop.limits")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

local zmq = {}
for name, value in pairs_of(core.constants) do
  zmq[name] = value
end

-- zmq.h hides it among the drafts, but libzmq has the option without them too.
zmq.ZAP_ENFORCE_DOMAIN = zmq.ZAP_ENFORCE_DOMAIN or 93

zmq.has = core.has
zmq.version = core.version
zmq.proxy = core.proxy
zmq.curve_keypair = core.curve_keypair
zmq.curve_public = core.curve_public
zmq.z85_encode = core.z85_encode
zmq.z85_decode = core.z85_decode

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
  for name, range in pairs_of(port_options) do
    local value = options[name]
    if value == nil then
      value = range[1]
    elseif type(value) ~= "number" or value % 1 ~= 0 then
      bad_port_option(("option '%s': integer expected, got %s"):format(name, tostring(value)))
    elseif value < range[2] or value > range[3] then
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

-- ---- frames ----------------------------------------------------------------------------------

--- A part of a message in libzmq's memory, created from a string: zmq.Frame("data").
-- Its methods are annotated in meta/frame.lua.
zmq.Frame = setmetatable({new = core.new_frame}, {
  __index = core.Frame,
  __call = function(_, data) return core.new_frame(data) end,
})

-- ---- contexts --------------------------------------------------------------------------------

local Context = core.Context

-- Done after the options are set, in this order: options set after a bind or connect do not apply
-- to it.
local acts = {"subscribe", "join", "bind", "connect"}

local is_act = {}
for _, name in ipairs(acts) do
  is_act[name] = true
end

-- What `socket` accepts: options, in the order of the table of options, and acts.
local known, options_in_order = {}, {}
for _, name in ipairs(core.socket_options) do
  if not is_act[name] and name ~= "unsubscribe" then
    known[#known + 1] = name
    options_in_order[#options_in_order + 1] = name
  end
end
for _, name in ipairs(acts) do
  known[#known + 1] = name
end

local is_known = {}
for _, name in ipairs(known) do
  is_known[name] = true
end

-- Stores the name of the current option in at[1].
local function set_socket_options(socket, options, at)
  for _, option in ipairs(options_in_order) do
    if options[option] ~= nil then
      at[1] = option
      local ok, message, name = socket:set(option, options[option])
      if not ok then
        return ok, message, name
      end
    end
  end
  for _, act in ipairs(acts) do
    if options[act] ~= nil then
      at[1] = act
      local ok, message, name = each(options[act], function(item)
        return socket[act](socket, item)
      end)
      if not ok then
        return ok, message, name
      end
    end
  end
  return true
end

-- Limits come first: other options may replace some of their values.
local function set_context_options(context, options, at)
  if options.limits ~= nil then
    at[1] = "limits"
    local ok, message, name = limits.set(context, options.limits)
    if not ok then
      return ok, message, name
    end
  end
  for option, value in pairs_of(options) do
    if option ~= "limits" then
      at[1] = option
      local ok, message, name = context:set(option, value)
      if not ok then
        return ok, message, name
      end
    end
  end
  return true
end

-- Who is given a table of options.
local of_socket = {
  caller = "socket", argument = 2, set = set_socket_options, undo = "close",
}
local of_context = {
  caller = "Context", argument = 1, set = set_context_options, undo = "destroy",
}

-- Returns the new object with its options set; or closes it, and returns the failure or raises.
local function with_options(who, object, options)
  local at = {}
  local done, ok, message, name = pcall(who.set, object, options, at)
  if done and ok then
    return object
  end
  object[who.undo](object, 0)
  if done then
    return nil, message, name
  end
  local text = type(ok) == "string" and ok:match("bad argument #%d to '[%w_]+' %((.*)%)$")
  if not text then
    error(ok, 0)
  elseif not text:find("option '", 1, true) then
    text = ("option '%s': %s"):format(tostring(at[1]), text)
  end
  check.bad(who.caller, who.argument, text)
end

-- Socket types of libzmq's draft API.
local drafts = {
  CHANNEL = true, CLIENT = true, DGRAM = true, DISH = true, GATHER = true, PEER = true,
  RADIO = true, SCATTER = true, SERVER = true,
}

local function unknown_name(what, name, names)
  if type(name) ~= "string" then
    return ("%s's name expected, got %s"):format(what, type(name))
  elseif what == "type" and drafts[name:upper()] then
    return ("type '%s' is a draft of libzmq, which was built without drafts"):format(name)
  end
  local nearest = core.nearest(name, names)
  return ("unknown %s '%s'; did you mean '%s'?"):format(what, name, nearest)
end

local function check_options(options)
  check.table("socket", 2, options)
  for name in pairs_of(options) do
    if not is_known[name] then
      check.bad("socket", 2, unknown_name("option", name, known))
    end
  end
end

local socket_types = core.socket_types

local type_names = {}
for name in pairs_of(socket_types) do
  type_names[#type_names + 1] = name
end
table.sort(type_names)

local function type_number(socket_type)
  if type(socket_type) == "string" then
    local number = socket_types[socket_type]
    if not number then
      check.bad("socket", 1, unknown_name("type", socket_type, type_names))
    end
    return number
  end
  return socket_type
end

--- Creates a socket of a type, zmq.REP or "REP".
-- Options is a table such as {linger=0, rcvhwm=10, subscribe={"a"}, bind="tcp://127.0.0.1:5555",
-- connect={...}}: options are set before subscriptions, these before bind, bind before connect. An
-- unknown name raises. A failure closes the socket and is returned.
function Context:socket(socket_type, options)
  if type(self) ~= "userdata" then
    core.bad_self("socket", "Context", self)
  end
  local number = type_number(socket_type)
  if options ~= nil then
    check_options(options)
  end
  local socket, failure, failure_name = core.new_socket(self, number, self.socket_class)
  if socket then
    limits.inherit(self, socket)
  end
  if not socket or options == nil then
    return socket, failure, failure_name
  end
  socket, failure, failure_name = with_options(of_socket, socket, options)
  return socket, failure, failure_name
end

-- What Context accepts by name: options of contexts and sockets, which C checks, and limits.
local known_to_context, is_known_to_context = {"limits"}, {limits = true}
for _, names in ipairs({core.context_options, core.socket_options}) do
  for _, name in ipairs(names) do
    known_to_context[#known_to_context + 1] = name
    is_known_to_context[name] = true
  end
end

local function check_context_options(options)
  for name in pairs_of(options) do
    if type(name) == "string" and not is_known_to_context[name] then
      check.bad("Context", 1, unknown_name("option", name, known_to_context))
    end
  end
  local given = options.limits
  if given == nil then
    return
  elseif type(given) ~= "string" then
    check.bad("Context", 1, ("option 'limits': string expected, got %s"):format(type(given)))
  end
  for _, name in ipairs(limits.names) do
    if name == given then
      return
    end
  end
  check.bad("Context", 1, unknown_name("limits", given, limits.names))
end

local function new_context(class, options)
  if type(options) == "userdata" then
    return core.borrow_context(options, class)
  elseif options ~= nil and type(options) ~= "table" then
    check.expected("Context", 1, "table or light userdata", options)
  elseif options ~= nil then
    check_context_options(options)
  end
  local context, message, name = core.new_context(nil, class)
  if not context or options == nil then
    return context, message, name
  end
  context, message, name = with_options(of_context, context, options)
  return context, message, name
end

-- The constructor that users call: of a class derived from core.Context or, with nil, of that.
local function new_constructor(class)
  local instance

  local function new(options)
    local context, message, name = new_context(class, options)
    return context, message, name
  end

  return setmetatable({
    --- Creates a context with options such as {io_threads=2, linger=0}: libzmq's context options,
    -- and socket options, which are the defaults of its sockets where their type has them.
    -- {limits="internet"} sets defaults for peers that are not trusted (SECURITY.md). A light
    -- userdata, from another context's handle(), is borrowed: its sockets belong to this state,
    -- which never terminates the context. An unknown name raises. Returns nil, message, name if
    -- libzmq refuses a value.
    new = new,

    --- The context of this Lua state, created by the first call, and anew after it was closed and
    -- in a forked process.
    instance = function()
      if not instance or not core.context_usable(instance) then
        instance = assert(new_context(class))
      end
      return instance
    end,
  }, {
    __index = class or Context,
    __call = function(_, options)
      local context, message, name = new_context(class, options)
      return context, message, name
    end,
  })
end

zmq.Context = new_constructor()

--- Returns a Context constructor for a class derived from core.Context, a table of methods. Its
-- sockets are of the class in its field `socket_class`, derived from core.Socket.
zmq.Context.derive = new_constructor

zmq.Socket = classes.extend(Socket, {monitor = "monitor", get_monitor_socket = "monitor"})

return classes.register("zmq", classes.extend(zmq, {Poller = "poll"}))
