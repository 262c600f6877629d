--- zmqloop.context: contexts, reached through zmqloop.zmq.
-- Internal: programs do not require it, and it may change at any time.
--
-- The methods of Context, and the files that define them:
--   csrc/lua/context_life.c   term destroy shutdown closed handle
--   csrc/lua/option_value.c   set get
--   here                      socket
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("context") then
  return classes.registered("context")
end

local check = require("zmqloop.check")
local each = require("zmqloop.socket").each
local limits = require("zmqloop.limits")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

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

local constructor = new_constructor()

--- Returns a Context constructor for a class derived from core.Context, a table of methods. Its
-- sockets are of the class in its field `socket_class`, derived from core.Socket.
constructor.derive = new_constructor

return classes.register("context", {Context = constructor})
