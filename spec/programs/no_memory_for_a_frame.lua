-- A message whose frame finds no memory. Arguments: the types, and how it is read.
local zmq = zmqloop.zmq
local kind, peer_kind, how = ...
local loop, ctx = new_loop(), zmq.Context{linger = 0}
local socket, peer = ctx:socket(kind), ctx:socket(peer_kind, {rcvtimeo = 5000})
if peer_kind == "SUB" then peer:subscribe("") end
if kind == "ROUTER" then peer:set("routing_id", "peer") end
assert(socket:bind("inproc://x") and peer:connect("inproc://x"))
local sender = how == "stream" and zmqloop.ZMQStream(socket, loop) or socket

local function send(...)
  local frames = {...}
  if kind == "ROUTER" then table.insert(frames, 1, "peer") end
  return sender:send_multipart(frames)
end

local function received()
  while peer:poll(0) == 0 do loop:step(0.01) end
  return table.concat(peer:recv_multipart(), " ")
end

assert(send("a", "b"))
assert(received() == "a b") -- what is made once there is
local big = ("b"):rep(64 * 2^20)
collectgarbage()
collectgarbage()
local function field(name, from)
  local file = io.open("/proc/self/" .. from)
  local value = file:read("*a"):match(name)
  file:close()
  return tonumber(value)
end
local limit = (field("VmSize:%s+(%d+)", "status") + 40000) * 1024
local pid = field("^(%d+)", "stat")
os.execute(("prlimit --pid %d --as=%d:unlimited"):format(pid, limit))
local sent, _, name = send("header", big)
os.execute(("prlimit --pid %d --as=unlimited:unlimited"):format(pid))
print(sent, name)
big = nil
assert(send("second", "x") and received() == "second x")
assert(send("third") and received() == "third")
ctx:destroy(0)
print("whole")
