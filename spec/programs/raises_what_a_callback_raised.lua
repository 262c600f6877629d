-- Errors of callbacks that are raised, at each allocation.
local address = "inproc://raises"
local ctx = zmqloop.zmq.Context()
local function equal(a, b) if a ~= b then error("different") end end
local function interpreted(make, try)
  for i = 1, 300 do equal(i, i) end -- `equal` becomes a trace of its own, for numbers
  local loop, object = make()
  for i = 1, 100 do
    equal(pcall(try, loop, object, i), false) -- leaves that trace
    collectgarbage()
  end
end
if rawget(_G, "jit") then require("jit").off(interpreted) end
local function boom() error("boom", 0) end
local function raising(options)
  local loop = zmqloop.IOLoop(options or {impl = BACKEND})
  loop:on_error("raise")
  return loop
end
local function streams()
  local loop = raising()
  local a = zmqloop.ZMQStream(ctx:socket("PAIR", {bind = address}), loop)
  a:on_recv(boom)
  return loop, {a = a, b = ctx:socket("PAIR", {connect = address})}
end
local cases = {
  start = {raising, function(loop) loop:add_callback(boom) loop:start() end},
  run = {raising, function(loop) loop:add_callback(boom) loop:run() end},
  step = {raising, function(loop) loop:call_later(0, boom) loop:step(0.01) end},
  run_sync = {raising, function(loop)
    loop:add_callback(boom)
    loop:run_sync(function() zmqloop.sleep(1) end)
  end},
  flush = {streams, function(_, it) it.b:send("x") it.a:flush() end},
  recv = {streams, function(loop, it) it.b:send("x") loop:step(1) end},
  drain = {raising, function(loop)
    local stream = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
    stream:set_close_callback(boom)
    stream:drain()
  end},
  close = {raising, function(loop)
    local stream = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
    stream:set_close_callback(boom)
    stream:close()
  end},
  error_handler = {raising, function(loop)
    loop:on_error(function() error("of the handler", 0) end)
    loop:add_callback(boom)
    loop:step(0)
    error("handled", 0)
  end},
  nested = {raising, function(loop)
    loop:add_callback(function()
      local inner = raising()
      inner:add_callback(boom)
      inner:start()
    end)
    loop:start()
  end},
  clock = {function() return raising({clock = os.time}) end, function(loop)
    loop:add_callback(boom)
    loop:start()
  end},
  failing_clock = {function()
    local loop, broken = nil, false
    loop = raising({clock = function() if broken then error("no time", 0) end return 7 end})
    return loop, function(is_broken) broken = is_broken end
  end, function(loop, break_clock)
    break_clock(true)
    local ok, err = pcall(loop.step, loop, 0)
    break_clock(false)
    error(err, ok and 0 or 0)
  end},
  time = {function() return raising({clock = os.time}) end, function(loop)
    loop:time()
    loop:call_later(0 / 0, print)
  end},
}
local case = cases[...]
interpreted(case[1], case[2])
print("ok")
ctx:destroy(0)
