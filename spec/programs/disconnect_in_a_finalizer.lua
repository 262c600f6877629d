-- A finalizer that disconnects the socket whose message is on its way.
local collector = require("spec.collector")
collector.set(1, collector.WHOLE)
local zmq, loop, MESSAGES = zmqloop.zmq, new_loop(), 5000
local ctx = zmq.Context()
local pub = ctx:socket("PUB", {bind = "inproc://a", sndhwm = 0})
local other = ctx:socket("PUB", {bind = "inproc://b"})
local sub = ctx:socket("SUB", {subscribe = "", rcvhwm = 0,
  connect = {"inproc://a", "inproc://b"}})
local stream = zmqloop.ZMQStream(sub, loop)
local received, collected = 0, 0

local function on_collected()
  collected = collected + 1
  if not stream:closed() and stream:disconnect("inproc://b") then
    stream:connect("inproc://b")
  end
end
local function leave_garbage()
  collector.finalized(on_collected)
end

loop:on_error("raise")
stream:on_recv(function(frames)
  received = received + 1
  if tonumber(frames[1]) ~= received then error(frames[1] .. " came") end
  leave_garbage()
  if received == MESSAGES then loop:stop() end
end)
loop:step(0)
for i = 1, MESSAGES do pub:send(("%d"):format(i)) end
loop:start()
stream:close()
other:close()
assert(collected > 0)
print("all came")
