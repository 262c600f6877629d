-- Frames on a stream, while each request for memory fails in turn.
local arm, off = require("faultalloc")[...], require("faultalloc").off
if rawget(_G, "jit") then jit.off() end
local zmq, ZMQStream = zmqloop.zmq, zmqloop.ZMQStream
local loop, ctx = new_loop(), zmq.Context()
local out = ZMQStream(ctx:socket("PAIR"), loop)
local into = ZMQStream(ctx:socket("PAIR"), loop)
out:bind("inproc://x")
into:connect("inproc://x")
local long = ("x"):rep(100)
local frame, options = zmq.Frame(long), {track = true}
local parts, plain = {"one", frame, long}, {"one", frame, long}
local accepted, received, reported, failures = 0, 0, 0, 0
out:on_send(function(frames)
  if frames[2] ~= frame then error("other frames") end
  reported = reported + 1
end)
into:on_recv(function(frames)
  received = received + 1
  if #frames ~= 3 or #frames[2] ~= 100 then failures = -1e9 end
end, false)
loop:on_error(function(_, err)
  failures = failures + 1
  if not tostring(err):find("memory") then failures = -1e9 end
end)
local function send(list, how)
  local ok, _, name = out:send_multipart(list, how)
  if ok then accepted = accepted + 1
  elseif name ~= "ENOMEM" then failures = -1e9 end
end
local function is_memory(err) -- 5.2 and 5.3 blame the stack that cannot grow
  return tostring(err):find("memory") or tostring(err):find("stack overflow")
end
local function exchange()
  send(parts, options)
  send(plain)
  loop:step(0)
  loop:step(0)
end
local n, came_through = 0, false
repeat
  n = n + 1
  local before = failures
  collectgarbage()
  arm(n)
  local ok, err = pcall(exchange)
  off()
  if not ok and not is_memory(err) then error(err) end
  came_through = ok and failures == before and accepted == 2
  for _ = 1, 100 do loop:step(0) end
  if received ~= accepted then error(n .. ": received " .. received) end
  if reported > accepted then error(n .. ": reported " .. reported) end
  if failures < 0 then error(n .. ": wrong failure") end
  accepted, received, reported = 0, 0, 0
until came_through or n > 1000
assert(came_through and n > 5, n)
print("ok")
