local zmq = require("zmqloop").zmq
local context = zmq.Context()
local pull = context:socket("PULL", {bind = "inproc://pipe"})
local push = context:socket("PUSH", {connect = "inproc://pipe"})
push:send_multipart({"a", "b"})
print(table.concat(assert(pull:recv_multipart()), " ")) --> a b
print(select(3, pull:recv(zmq.DONTWAIT))) --> EAGAIN
context:destroy()
