local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop.instance()
local context = zmqloop.zmq.Context.instance()
local service = zmqloop.ZMQStream(context:socket("REP", {bind = "inproc://service"}))
local client = zmqloop.ZMQStream(context:socket("REQ", {connect = "inproc://service"}))

service:on_recv(function(frames) service:send_multipart(frames) end)
client:on_recv(function(frames)
  print(#frames, frames[1]) --> 2	hello
  loop:stop()
end)
client:send_multipart({"hello", "world"})
loop:start()
