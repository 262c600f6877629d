-- serve.lua - a minimal echo service in zmqloop, to measure start and memory.
-- SPDX-License-Identifier: MIT
local zmqloop = require("zmqloop")

local endpoint
for _, argument in ipairs(arg) do
  endpoint = argument:match("^endpoint=(.*)") or endpoint
end
local socket = zmqloop.zmq.Context.instance():socket("REP")
assert(socket:connect(endpoint))
local stream = zmqloop.ZMQStream(socket)
stream:on_recv(function(frames)
  stream:send_multipart(frames)
end)
zmqloop.IOLoop.instance():start()
