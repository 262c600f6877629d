-- Frames of a socket, while each request for memory fails in turn.
local arm, off = require("faultalloc").fail_once, require("faultalloc").off
if rawget(_G, "jit") then jit.off() end
local zmq = zmqloop.zmq
local ctx = zmq.Context()
local a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
a:bind("inproc://x")
b:connect("inproc://x")
local long = ("x"):rep(100)
local frame, options = zmq.Frame(long), {track = true}
local parts = {"one", frame, long}
local sent, received
local function exchange()
  zmq.Frame(long)
  local tracker = a:send_multipart(parts, options)
  if not tracker then error("not enough memory") end
  sent = sent + 1
  local frames = b:recv_multipart(0, false)
  received = received + 1
  if frames[3]:sub(1, 2) ~= "xx" or tracker:done() then error("wrong") end
end
local n, ok, err = 0, nil, nil
repeat
  n = n + 1
  sent, received = 0, 0
  collectgarbage()
  arm(n)
  ok, err = pcall(exchange)
  off()
  if not ok and not tostring(err):find("not enough memory", 1, true) then error(err) end
  while received < sent do
    local frames = assert(b:recv_multipart(zmq.DONTWAIT, false))
    assert(#frames == 3 and frames[2]:data() == long and frames[3]:data() == long)
    received = received + 1
  end
  assert(not b:recv(zmq.DONTWAIT))
  assert(frame:data() == long)
until ok or n > 1000
assert(ok and n > 5)
print("ok")
