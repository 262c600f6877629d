--- zmqloop.limits: limits for peers that are not trusted: zmq.Context{limits = "internet"}.
-- Internal: programs do not require it, and it may change at any time.
-- Internal. SECURITY.md says what each limit protects from.
local classes = require("zmqloop.class")

if classes.registered("limits") then
  return classes.registered("limits")
end

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

-- Name -> what new sockets of the context get, and the queues of their streams. An explicit option
-- or a later set_send_hwm() wins.
local named = {
  internet = {
    socket = {
      maxmsgsize = 1048576, -- bytes in a frame; libzmq: any
      rcvhwm = 100, -- messages for each connection; libzmq: 1000
      sndhwm = 100, -- the same
      handshake_ivl = 5000, -- milliseconds; libzmq: 30000
      backlog = 1024, -- connections that wait to be accepted; libzmq: 100
      -- A host that has disappeared is noticed after two minutes; libzmq: never.
      tcp_keepalive = 1,
      tcp_keepalive_idle = 60, -- seconds
      tcp_keepalive_intvl = 10,
      tcp_keepalive_cnt = 6,
    },
    queue_messages = 1000, -- otherwise any
    queue_bytes = 16777216,
  },
}

local limits = {names = {}}
for name in pairs_of(named) do
  limits.names[#limits.names + 1] = name
end
table.sort(limits.names)

-- Contexts and sockets with limits -> those limits.
local limits_of = setmetatable({}, {__mode = "k"})

--- Makes them the defaults of new sockets. Returns true, or nil, message, name.
function limits.set(context, name)
  local chosen = named[name]
  for option, value in pairs_of(chosen.socket) do
    local ok, message, failure = context:set(option, value)
    if not ok then
      return ok, message, failure
    end
  end
  limits_of[context] = chosen
  return true
end

--- Notes that the socket is one of the context.
function limits.inherit(context, socket)
  limits_of[socket] = limits_of[context]
end

--- Limits the queue of a new stream on the socket.
function limits.apply(socket, stream)
  local chosen = limits_of[socket]
  if chosen then
    stream:set_send_hwm(chosen.queue_messages, chosen.queue_bytes)
  end
end

return classes.register("limits", limits)
