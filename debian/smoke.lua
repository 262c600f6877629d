-- Does the module load, and a message arrive?
local zmqloop = require("zmqloop")

local loop, context = zmqloop.IOLoop.instance(), zmqloop.zmq.Context.instance()
local server = zmqloop.ZMQStream(context:socket("REP", {bind = "inproc://smoke"}))
local client = zmqloop.ZMQStream(context:socket("REQ", {connect = "inproc://smoke"}))
server:on_recv(function(frames) server:send_multipart(frames) end)
client:on_recv(function(frames)
  print(_VERSION, zmqloop._VERSION, frames[1])
  loop:stop()
end)
client:send("hello")
loop:start()
