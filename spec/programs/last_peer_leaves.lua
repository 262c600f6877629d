-- The last peer leaves right before the queue is served.
local zmq = zmqloop.zmq
local loop, ctx = new_loop(), zmq.Context()
local a = zmqloop.ZMQStream(ctx:socket("PAIR", {sndhwm = 1, linger = 0}), loop)
local b = ctx:socket("PAIR", {rcvhwm = 1, linger = 0})
a:bind("inproc://a")
b:connect("inproc://a")
while a:queued() == 0 do a:send("fill") end
a:on_recv(function()
  b:close() -- the peer goes; the queue is served next
  while a.socket:poll(0, zmq.POLLOUT) ~= 0 do end
  loop:call_later(0.01, function() loop:stop() end)
end)
b:recv() -- there is room
b:send("leave")
loop:on_error("raise")
loop:start()
assert(a:queued() > 0)
print("not blocked")
