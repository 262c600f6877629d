-- A service: answers requests, sends a heartbeat, and prints how it is doing.
-- The first line it prints are the endpoints that client.lua is given.
local zmqloop = require("zmqloop")

io.stdout:setvbuf("line")

local loop = zmqloop.IOLoop.instance()
local ctx = zmqloop.zmq.Context.instance()

-- A stream on a socket bound to a free port, and its endpoint.
local function bound(kind)
  local socket = ctx:socket(kind)
  local port = assert(socket:bind_to_random_port("tcp://127.0.0.1"))
  return zmqloop.ZMQStream(socket), "tcp://127.0.0.1:" .. port
end

local requests, requests_endpoint = bound("ROUTER")
local heartbeat, heartbeat_endpoint = bound("PUB")
local answered = 0

-- A ROUTER receives the client's address before the frames the client sent,
-- and sends to the address in the first frame.
requests:on_recv(function(frames)
  local client, id, text = frames[1], frames[2], frames[3]
  if id == "stop" then
    loop:stop()
  elseif text then
    answered = answered + 1
    requests:send_multipart{client, id, text:upper()}
  end
end)

zmqloop.PeriodicCallback(function() -- milliseconds
  heartbeat:send_multipart{"answered", tostring(answered)}
end, 50):start()

zmqloop.PeriodicCallback(function()
  print(("%d requests answered"):format(answered))
end, 100):start()

print(requests_endpoint .. " " .. heartbeat_endpoint)
loop:start()
print(("stopped after %d requests"):format(answered))
