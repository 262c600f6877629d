local zmq = require("zmqloop").zmq
local context = zmq.Context{linger = 0, max_sockets = 10} -- for all its sockets
print(context:get("max_sockets")) --> 10
print(context:socket("PUB"):get("linger")) --> 0
context:destroy() -- closes its sockets, and terminates it
print(context:closed()) --> true
