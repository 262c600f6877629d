-- Unreferenced loops, contexts, sockets and streams.
local weak = setmetatable({}, {__mode = "k"})
for round = 1, 50 do
  local loop, ctx = new_loop(), zmqloop.zmq.Context()
  weak[loop], weak[ctx] = true, true
  for _ = 1, 10 do
    local stream = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
    stream:on_recv(function() return stream, loop end)
    stream:send("unsent")
    loop:call_later(3600, function() return stream end)
    weak[stream] = true
  end
  if round % 10 == 0 then collectgarbage() end
end
for _ = 1, 4 do collectgarbage() end
print(next(weak) == nil)
