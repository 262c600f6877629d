-- Notices of the end, while each request for memory fails in turn.
-- Arguments: what ends, "fail_from" or "fail_once".
local zmqloop = require("zmqloop")
local core = require("zmqloop.core")
local kind, mode = ...
local fault = require("faultalloc")
if rawget(_G, "jit") then jit.off() end
local context = zmqloop.zmq.Context()
local serial = 0

local function pair(loop)
  serial = serial + 1
  local bound = context:socket("PAIR", {linger = 0, sndhwm = 1, rcvhwm = 1})
  local peer = context:socket("PAIR", {linger = 0, sndhwm = 1, rcvhwm = 1})
  assert(bound:bind("inproc://" .. serial))
  assert(peer:connect("inproc://" .. serial))
  return zmqloop.ZMQStream(bound, loop), peer
end

-- Each makes something happen, and calls told() when it is told. Returns the function that lets it
-- happen in the next iteration.
local kinds = {}

function kinds.signal(loop, told)
  assert(loop:add_signal_handler("USR1", told))
  return function() require("process").kill(10) end
end

function kinds.report(loop, told)
  local stream = pair(loop)
  return function() assert(stream:send("x", told)) end
end

function kinds.on_send(loop, told)
  local stream = pair(loop)
  stream:on_send(told)
  return function() assert(stream:send("x")) end
end

function kinds.drain(loop, told)
  local stream, peer = pair(loop)
  stream:set_send_hwm(1)
  stream:on_drain(told)
  while stream:send("x") do end
  return function()
    while peer:recv_multipart(zmqloop.zmq.DONTWAIT) do end
  end
end

function kinds.close(loop, told)
  local stream = pair(loop)
  stream:set_close_callback(told)
  return function() stream:close() end
end

-- These are called even if that has failed at first, unless the call itself had no memory.
local is_called = {}

function is_called.drained(loop, told)
  local stream = pair(loop)
  stream:set_close_callback(told)
  stream:on_recv(function() end)
  return function() core.drain_stream(stream) end
end

function is_called.drained_in_vain(loop, told)
  local stream = pair(loop)
  stream:set_close_callback(told)
  for _ = 1, 5 do stream:send("x") end
  return function() core.drain_stream(stream, 0) end
end

function is_called.socket_closed(loop, told)
  local stream = pair(loop)
  stream:set_close_callback(told)
  stream:on_recv(function() end)
  return function() stream.socket:close() end
end

for name, make in pairs(is_called) do kinds[name] = make end

local function waits() coroutine.yield() end
local function fails() error("planned", 0) end

for _, before in ipairs{fails, waits} do
  local n = 0
  repeat
    n = n + 1
    local failures, told, called, came_through = 0, 0, false, true
    local function tell()
      told, called = told + 1, true
    end
    local loop = new_loop()
    loop:on_error(function(callback, err)
      called = called or callback == tell
      if err ~= "planned" then failures = failures + 1 end
    end)
    local happen = kinds[kind](loop, tell)
    loop:add_callback(before)
    if kind ~= "close" then happen() end
    fault[mode](n)
    came_through = pcall(loop.step, loop, 0)
    if kind == "close" and not pcall(happen) then
      came_through = false
      fault.off()
      happen()
    end
    pcall(loop.step, loop, 0)
    fault.off()
    for _ = 1, 10 do
      if kind == "drain" then happen() end -- the peer reads on
      pcall(loop.step, loop, 0)
    end
    -- Where all memory is gone on_error cannot be called: the step has raised.
    local is_raised = mode == "fail_from" and not came_through
    local may_fail = not is_called[kind] and failures >= 1
    assert(called or may_fail or is_raised,
      ("%s: allocation %d: nobody was told"):format(kind, n))
    assert(told <= 1, ("%s: allocation %d: told %d times"):format(kind, n, told))
    came_through = came_through and failures == 0
    pcall(loop.remove_signal_handler, loop, "USR1")
    loop:close(true)
  until came_through or n > 1000
  assert(n <= 1000)
end
print("ok")
