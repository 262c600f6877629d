-- Receives 200 numbers in order. Argument: where to bind.
local loop, ctx = new_loop(), zmqloop.zmq.Context()
local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
pull:bind(...)
local count = 0
pull:on_recv(function(frames)
  count = count + 1
  assert(frames[1] == tostring(count))
  if count == 200 then loop:stop() end
end)
loop:on_error("raise")
print("ready")
loop:start()
print("ok")
