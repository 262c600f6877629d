local zmq = require("zmqloop").zmq
local context = zmq.Context()
local pull = context:socket("PULL", {bind = "inproc://pipe"})
local push = context:socket("PUSH", {connect = "inproc://pipe"})
local poller = zmq.Poller()
poller:register(pull, zmq.POLLIN)
print(#assert(poller:poll(0))) --> 0
push:send("x")
print(#assert(poller:poll(1000))) --> 1
context:destroy()
