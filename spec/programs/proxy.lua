-- A proxy between two sockets.
local zmq = zmqloop.zmq
local ctx = zmq.Context()
local pull, push = ctx:socket("PULL"), ctx:socket("PUSH")
pull:bind("tcp://127.0.0.1:*")
push:bind("tcp://127.0.0.1:*")
print("ready")
local ok, err = pcall(zmq.proxy, pull, push)
print(ok, (tostring(err):gsub(".*interrupted!.*", "interrupted!")))
