-- A client of echo.lua: asks once, waits at most two seconds, and prints the answer.
local zmqloop = require("zmqloop")

local address = arg[1] or "tcp://127.0.0.1:5555"
local context = zmqloop.zmq.Context.instance()
local stream = zmqloop.ZMQStream(context:socket("REQ", {connect = address, linger = 0}))

zmqloop.IOLoop.instance():run_sync(function()
  stream:send("hello")
  local frames = assert(stream:recv(2))
  print("the service answers: " .. frames[1])
end)
