-- Streams and timers while signals come all the time.
local sigstorm = require("sigstorm")
local zmq = zmqloop.zmq
local loop, ctx = new_loop(), zmq.Context()
local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
local req = zmqloop.ZMQStream(ctx:socket("REQ"), loop)
local rep = zmqloop.ZMQStream(ctx:socket("REP"), loop)
local port = pull:bind_to_random_port("tcp://127.0.0.1")
push:connect(("tcp://127.0.0.1:%d"):format(port))
port = rep:bind_to_random_port("tcp://127.0.0.1")
req:connect(("tcp://127.0.0.1:%d"):format(port))
local MESSAGES, ROUNDS = 20000, 500
local received, answered, ticks, early = 0, 0, 0, 0
local function check() if received == MESSAGES and answered == ROUNDS then loop:stop() end end
pull:on_recv(function(frames)
  received = received + 1
  assert(frames[1] == tostring(received) and frames[2] == "" and #frames == 3, "order")
  check()
end)
rep:on_recv(function(frames) assert(rep:send_multipart(frames)) end)
req:on_recv(function()
  answered = answered + 1
  if answered < ROUNDS then assert(req:send("again")) end
  check()
end)
loop:on_error("raise")
local function tick(due)
  ticks = ticks + 1
  if loop:time() < due then early = early + 1 end
  loop:call_later(0.002, tick, loop:time() + 0.002)
end
tick(0)
local dog = loop:call_later(15, error, "watchdog")
sigstorm.start(100)
local next_message = 0
local function feed()
  for _ = 1, 100 do
    next_message = next_message + 1
    assert(push:send_multipart{tostring(next_message), "", "payload"})
  end
  if next_message < MESSAGES then loop:add_callback(feed) end
end
feed()
assert(req:send("first"))
loop:start()
dog:cancel()
local signals = sigstorm.stop()
assert(signals > 50, signals)
assert(early == 0, "early timers")
assert(ticks > 1)
print("ok")
