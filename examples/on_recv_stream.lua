-- One callback for two streams: on_recv_stream passes the stream along, so that
-- the same function answers at a tcp and at an ipc address.
-- Arguments: the two addresses.
local zmqloop = require("zmqloop")

local loop = zmqloop.IOLoop.instance()
local ctx = zmqloop.zmq.Context.instance()

local function echo(stream, frames)
  stream:send_multipart(frames)
end

for i, default in ipairs{"tcp://127.0.0.1:5555", "ipc:///tmp/zmqloop-echo"} do
  local stream = zmqloop.ZMQStream(ctx:socket("REP"), loop)
  assert(stream:bind(arg[i] or default))
  stream:on_recv_stream(echo)
  print("echo at " .. stream:get("last_endpoint"))
end

io.stdout:flush()
loop:start()
