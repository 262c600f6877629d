-- Messages to a peer that is there; how it ends comes behind it.
local loop = new_loop()
local ctx = zmqloop.zmq.Context()
local socket = ctx:socket("PUSH", {immediate = true})
assert(socket:connect((...)))
assert(socket:send("first"))
local stream = zmqloop.ZMQStream(socket, loop)
stream:on_recv(function() end)
for i = 1, 100 do assert(stream:send("word " .. i)) end
