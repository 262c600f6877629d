-- A service whose requests take long to compute, with a control socket that works meanwhile.
-- While a callback computes its loop does not run. So the control socket has its own loop, which
-- the service's loop serves when it is idle, and a hook while a request is computed.
--
--   lua examples/interrupt.lua [WORK ENDPOINT [CONTROL ENDPOINT]]
--
-- A request is a number of rounds; the control socket takes "status", "cancel" and "quit".
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.integrate.ioloop")

-- Code that LuaJIT has compiled does not run hooks.
local jit = rawget(_G, "jit")
if jit then jit.off() end

local INSTRUCTIONS = 10000 -- between two checks of the control socket

local ctx = zmqloop.zmq.Context()
local loop, control = zmqloop.IOLoop.instance(), zmqloop.IOLoop()
assert(ioloop.attach(control, loop))

local work = zmqloop.ZMQStream(assert(ctx:socket("REP",
  {bind = arg[1] or "tcp://127.0.0.1:5555"})), loop)
local orders = zmqloop.ZMQStream(assert(ctx:socket("REP",
  {bind = arg[2] or "tcp://127.0.0.1:5556"})), control)

local busy, cancelled, rounds = false, false, 0

orders:on_recv(function(frames)
  if frames[1] == "cancel" then
    cancelled = busy
  elseif frames[1] == "quit" then
    cancelled = busy
    loop:add_callback(loop.stop, loop)
  end
  orders:send(busy and ("busy, %d rounds"):format(rounds) or "idle")
end)

-- Calls fn(...) while the control loop goes on. An error raised by the hook ends fn.
local function interruptible(fn, ...)
  cancelled = false
  debug.sethook(function()
    control:step(0)
    if cancelled then
      error("cancelled", 0)
    end
  end, "", INSTRUCTIONS)
  local ok, result = pcall(fn, ...)
  debug.sethook()
  return ok, result
end

local function compute(count)
  local sum = 0
  for i = 1, count do
    rounds = i
    sum = (sum * 31 + i) % 1000003
  end
  return sum
end

work:on_recv(function(frames)
  busy = true
  local ok, result = interruptible(compute, tonumber(frames[1]) or 0)
  busy = false
  work:send((ok and "done: " or "failed: ") .. tostring(result))
end)

io.stdout:setvbuf("line")
print(("work at %s, control at %s"):format(work:get("last_endpoint"),
  orders:get("last_endpoint")))
loop:add_signal_handler("INT", function() loop:stop() end)
loop:start()
orders:close()
work:close()
