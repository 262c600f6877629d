-- Messages that are not taken; the way to end is appended.
local loop = new_loop()
local ctx = zmqloop.zmq.Context()
local streams = {}
for i = 1, 30 do
  streams[i] = zmqloop.ZMQStream(ctx:socket("PUSH", {linger = i % 2 == 0 and -1 or nil}), loop)
  streams[i]:connect("tcp://127.0.0.1:1")
  streams[i]:send("nobody will ever take this")
end
streams[1]:on_recv(function() end)
loop:call_later(3600, function() print("a callback ran") end)
loop:add_callback(function() end)
