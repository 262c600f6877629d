-- Sends with the instances of loop and context, and closes neither. Argument: the address.
local loop = zmqloop.IOLoop.instance()
local stream = zmqloop.ZMQStream(zmqloop.zmq.Context.instance():socket("PUSH"))
assert(stream:connect((...)))
stream:send("hello")
loop:call_later(0.001, loop.stop, loop)
loop:start()
