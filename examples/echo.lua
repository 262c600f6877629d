-- An echo service: every request comes back as it was sent.
local zmqloop = require("zmqloop")

local address = arg[1] or "tcp://127.0.0.1:5555"
local socket = zmqloop.zmq.Context.instance():socket("REP")
assert(socket:bind(address))

local stream = zmqloop.ZMQStream(socket)
stream:on_recv(function(frames)
  stream:send_multipart(frames)
end)

print("echo service at " .. socket:get("last_endpoint"))
io.stdout:flush()
zmqloop.IOLoop.instance():start()
