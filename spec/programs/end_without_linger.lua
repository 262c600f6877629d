-- Ends with a message that nobody receives and linger 0.
local ctx = zmqloop.zmq.Context()
local socket = ctx:socket("PUSH", {linger = 0})
socket:connect("tcp://127.0.0.1:1")
socket:send("x")
