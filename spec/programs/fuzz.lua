-- Calls everything with random arguments. Arguments: seed, seconds.
local SEED, SECONDS = tonumber((...)), tonumber((select(2, ...)))
local zmq, core = zmqloop.zmq, require("zmqloop.core")
local unpack = table.unpack or unpack
io.stdout:setvbuf("no")

-- ---- chance: the same numbers in every Lua

local state = SEED
local function random(n)
  state = state * 48271 % 2147483647
  return state % n + 1
end

local function one_of(list)
  if #list > 0 then return list[random(#list)] end
end

local function chance(percent)
  return random(100) <= percent
end

local function bytes(length)
  local chars = {}
  for i = 1, length do chars[i] = string.char(random(256) - 1) end
  return table.concat(chars)
end

-- ---- values

local NUMBERS = {-1, 0, 1, 2, 3, 7, 10, 100, 255, 256, 1000, 1500, 2 ^ 15, 65535, 65536, 2 ^ 31 - 1,
  2 ^ 31, -2 ^ 31, -2 ^ 31 - 1, 2 ^ 32, 2 ^ 53, -2 ^ 53, 2 ^ 63, -2 ^ 63, 2 ^ 64, 1e300, 1 / 0,
  -1 / 0, 0 / 0, 0.5, -2, -5}
local LENGTHS = {0, 0, 1, 2, 5, 31, 32, 33, 39, 40, 41, 255, 256, 257, 1000, 5000}
local TEXTS = {"", "\0", "a\0b", "X-key:value", "127.0.0.1/32", "1.2.3.4/99", "\1topic", "\0topic",
  zmq.curve_keypair() or "", ("0"):rep(40), ("#"):rep(40)}

local function number()
  return chance(70) and one_of(NUMBERS) or random(5000) - 2500
end

local function text()
  return chance(60) and one_of(TEXTS) or bytes(one_of(LENGTHS))
end

local objects = {true, false, {}, {1, 2}, print, io.stdout, coroutine.create(function() end)}

local function value()
  local kind = random(10)
  if kind <= 5 then return number() end
  if kind <= 8 then return text() end
  if kind == 9 then return one_of(objects) end
end

local function option_name()
  local kind = random(12)
  if kind <= 8 then return one_of(core.socket_options) end
  if kind == 9 then return one_of(core.context_options) end
  if kind == 10 then return random(130) - 1 end
  return value()
end

-- What would be obeyed and is not for a test: the machine's scheduler, thousands of threads, the
-- descriptors of others; and to linger for ever, which the end of a context waits for, whatever it
-- is told, where a connection was ended with messages unsent.
local function harmless(name, it)
  if name == "linger" or name == zmq.LINGER then
    return type(it) ~= "number" or it >= 0 and it <= 1500
  end
  if name == "io_threads" or name == zmq.IO_THREADS then
    return type(it) ~= "number" or it < 5
  end
  if name == "use_fd" or name == zmq.USE_FD then
    return type(it) ~= "number" or it < 0 or it > 2 ^ 20
  end
  for _, left_out in ipairs{"thread_priority", "thread_sched_policy"} do
    if name == left_out or name == zmq[left_out:upper()] then return false end
  end
  return true
end

-- The marks of a socket that has connections: libzmq 4.3.4 sends them on to ones that have just
-- ended, and are freed.
local MARKS = {hwm = true, sndhwm = true, rcvhwm = true, [zmq.HWM] = true, [zmq.SNDHWM] = true,
  [zmq.RCVHWM] = true}

-- Nothing that a name server would be asked for.
local HOSTS = {"127.0.0.1", "[::1]", "::1", "", "x..y", ("x"):rep(70) .. "..",
  ("x"):rep(3000) .. "..", "127.0.0.1;127.0.0.1", "lo", "lo;239.192.1.1", ";", "[", "]", "[]",
  "127.0.0.1%lo", "..%", ",", ";;", "1,;"}
local PORTS = {"*", "0", "1", "65535", "65536", "-1", "x", "", "99999999999999999", "*:*", "5x"}
local SCHEMES = {"tcp", "tcp", "tcp", "ipc", "inproc", "pgm", "epgm", "norm", "tipc", "udp", "vmci",
  "ws", "wss", "", "TCP", "x"}
local PATHS = {"", "@", "@x", "*", "a", "b", "no/where", ("x"):rep(107), ("x"):rep(108),
  ("x"):rep(300)}
local TIPC = {"{1,2,3}", "{1,2}", "<1.1.1:5>", "*", "", "{}", "x"}
local KNOWN = "inproc://known" -- bound as long as its context is there
local endpoints = {"ipc://known"}

-- A connection over inproc that waits for its bind makes libzmq 4.3.4 abort when the bind comes
-- after its end (zeromq/libzmq#4544): such are not made.
local function address(binds)
  local kind = random(10)
  if kind == 1 then return KNOWN end
  if kind <= 3 then return one_of(endpoints) end
  if kind == 4 then return value() end
  local scheme = one_of(SCHEMES)
  if scheme == "inproc" then return binds and "inproc://" .. text() or KNOWN end
  if scheme == "ipc" then return "ipc://" .. one_of(PATHS) end
  if scheme == "tipc" then return "tipc://" .. one_of(TIPC) end
  if chance(10) then return scheme .. one_of{"", ":", ":/", "//", "://", "://:"} end
  return ("%s://%s%s%s"):format(scheme, one_of(HOSTS), chance(90) and ":" or "", one_of(PORTS))
end

-- None with which a call waits.
local NOW = zmq.DONTWAIT
local FLAGS = {NOW, NOW, NOW + zmq.SNDMORE, 4, -1, 1e300, 0 / 0, 0.5, "x", {x = 1}, true}

-- ---- what is there

local TYPES = {}
for name in pairs(core.socket_types) do TYPES[#TYPES + 1] = name end
table.sort(TYPES)

local loop = new_loop()
local contexts, sockets, streams, frames = {}, {}, {}, {}
local keep = setmetatable({}, {__mode = "k"}) -- what has bound KNOWN, by context

-- Returns what had to make place.
local function add(list, object, most)
  if object == nil then return end
  local i = #list + 1
  for j, other in ipairs(list) do
    if type(other) ~= "string" and other:closed() then i = j end
  end
  if i > most then i = random(most) end
  local old = list[i]
  list[i] = object
  return old
end

local function show(it)
  if type(it) == "string" then return ("%q"):format(#it > 60 and it:sub(1, 60) .. "..." or it) end
  local ok, shown = pcall(tostring, it) -- a closed frame raises
  return ok and shown or "?"
end

-- Prints and makes a call; what it raises is an answer.
local function call(name, fn, ...)
  local shown = {}
  for i = 1, select("#", ...) do shown[i] = show((select(i, ...))) end
  io.write(name, " ", table.concat(shown, ", "):gsub("[%c\127-\255]", "?"), "\n")
  local results = {pcall(fn, ...)}
  if results[1] then return unpack(results, 2, 4) end
  if type(results[2]) ~= "string" then error("an error that is no string") end
end

local function method(object, name, ...)
  return call(name, object[name], object, ...)
end

local function options()
  local it = {}
  for _ = 1, random(4) - 1 do
    local name, setting = option_name(), value()
    if name ~= nil and name == name and harmless(name, setting) then it[name] = setting end
  end
  if chance(30) then it.bind = address(true) end
  if chance(30) then it.connect = chance(50) and address() or {address(), address()} end
  return it
end

local function new_context()
  local given = options()
  given.bind, given.connect = nil, nil
  local context = call("Context", zmq.Context, chance(50) and given or nil)
  local known = context and context:socket("DEALER")
  if not known or not known:bind(KNOWN) then
    if context then context:destroy(0) end
    return
  end
  keep[context] = known
  local old = add(contexts, context, 3)
  if old then method(old, "destroy", 0) end
end

local function message()
  local list = {}
  for i = 1, random(5) - 1 do
    list[i] = chance(80) and (chance(20) and one_of(frames) or text()) or value()
  end
  return list
end

-- {how often, fn(some socket)}
local acts = {
  {2, function() new_context() end},
  {10, function()
    local context = one_of(contexts)
    if context:closed() then return new_context() end
    local socket = method(context, "socket", chance(90) and one_of(TYPES) or value(),
      chance(60) and options() or nil)
    local old = add(sockets, socket, 12)
    if old then method(old, "close", 0) end
  end},
  {30, function(socket)
    local name, setting = option_name(), value()
    if harmless(name, setting) and not MARKS[name] then
      method(socket, one_of{"set", "setsockopt"}, name, setting)
    end
  end},
  {10, function(socket) method(socket, one_of{"get", "getsockopt"}, option_name()) end},
  {20, function(socket)
    local name = one_of{"bind", "connect", "unbind", "disconnect"}
    local ok = method(socket, name, address(name ~= "connect"))
    local endpoint = ok and socket:get("last_endpoint") or ""
    if endpoint:find("^tcp") or endpoint:find("^ipc") then add(endpoints, endpoint, 20) end
  end},
  {2, function(socket)
    local place = address(true)
    if type(place) ~= "string" or not place:find("^ipc") then
      method(socket, "bind_to_random_port", place, chance(70) and {
        min = chance(50) and number() or nil, max = chance(50) and number() or nil,
        tries = chance(50) and number() or 3,
      } or value())
    end
  end},
  {20, function(socket)
    method(socket, "send", chance(20) and one_of(frames) or value(), one_of(FLAGS))
  end},
  {20, function(socket)
    local how = chance(80) and one_of(FLAGS)
    method(socket, "send_multipart", chance(90) and message() or value(), how or {
      flags = NOW, copy = value(), track = value(), routing_id = value(), group = value(),
    })
  end},
  {20, function(socket)
    local frame = method(socket, "recv", one_of(FLAGS), one_of{true, false, false, 1})
    if type(frame) == "userdata" then add(frames, frame, 10) end
  end},
  {20, function(socket)
    method(socket, "recv_multipart", one_of(FLAGS), chance(50) and chance(50) or nil)
  end},
  {10, function(socket)
    method(socket, "poll", one_of{0, 0.5, 1, 0 / 0, "x", {}, true}, value())
  end},
  {5, function(socket)
    local events = chance(50) and value() or one_of{"all", "CONNECTED", {"CLOSED"}, {5}, 16}
    if chance(20) then
      local pair = method(socket, "get_monitor_socket", events)
      if pair then add(sockets, pair, 12) end
    else
      method(socket, "monitor", chance(80) and function() end or value(), events, loop)
    end
  end},
  {3, function(socket)
    local name = one_of{"subscribe", "unsubscribe", "join", "leave"}
    method(socket, name, chance(70) and text() or value())
  end},
  {2, function(socket)
    method(socket, "close", chance(50) and 0 or one_of{"x", {}, 1e300, 0.5, -7})
  end},
  {2, function(socket)
    local stream = call("ZMQStream", zmqloop.ZMQStream, socket, loop)
    if stream then
      stream:on_recv(function() end, chance(50))
      stream:on_error(function() end)
      local old = add(streams, stream, 5)
      if old then method(old, "close", 0) end
    end
  end},
  {10, function()
    local stream = one_of(streams)
    if not stream then return end
    local way = random(4)
    if way == 1 then
      local name, setting = option_name(), value()
      if harmless(name, setting) and not MARKS[name] then
        method(stream, "set", name, setting)
      end
    elseif way == 2 then
      method(stream, one_of{"bind", "connect", "unbind", "disconnect"}, address())
    else
      method(stream, "send_multipart", message())
    end
  end},
  {3, function()
    local context = one_of(contexts)
    local name, setting = option_name(), value()
    if not harmless(name, setting) then return end
    if chance(50) then method(context, "get", name) else method(context, "set", name, setting) end
  end},
  {5, function() add(frames, call("Frame", zmq.Frame, value()), 10) end},
  {10, function()
    local frame = one_of(frames)
    local name = one_of{"sub", "get", "routing_id", "group", "more", "data", "pointer", "close"}
    if frame and (name ~= "close" or chance(20)) then method(frame, name, value(), value()) end
  end},
  {3, function()
    local name = one_of{"has", "curve_public", "z85_encode", "z85_decode"}
    call(name, zmq[name], value())
  end},
  {1, function() call("proxy", zmq.proxy, value(), value(), value()) end},
  {2, function()
    local poller = zmq.Poller()
    for _ = 1, 3 do
      local object = chance(60) and one_of(sockets) or value()
      call("register", poller.register, poller, object, value())
    end
    poller = zmq.Poller() -- numbers may be descriptors of others
    for _ = 1, 3 do
      call("register", poller.register, poller, one_of(sockets), one_of{1, 2, 3, 0})
    end
    call("poll", poller.poll, poller, one_of{0, 1, "x", 0 / 0})
  end},
  {10, function() call("step", loop.step, loop, 0) end},
}

local total = 0
for _, act in ipairs(acts) do total = total + act[1] end

local new_socket = acts[2][2]

local function act()
  local at = random(total)
  if one_of(sockets):closed() then new_socket() end
  for _, each in ipairs(acts) do
    at = at - each[1]
    if at <= 0 then return each[2](one_of(sockets)) end
  end
end

-- ---- the run

loop:on_error(function() end)
repeat new_context() until #contexts > 0
sockets[1] = contexts[1]:socket("PAIR")
local deadline = loop:time() + SECONDS
repeat act() until loop:time() > deadline
for _, stream in ipairs(streams) do stream:close(0) end
for _, context in ipairs(contexts) do context:destroy(0) end
loop:close()
print("ended well")
