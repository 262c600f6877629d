-- Messages of one frame, while each request for memory fails in turn.
-- Argument: "fail_from" or "fail_once".
local arm, off = require("faultalloc")[...], require("faultalloc").off
if rawget(_G, "jit") then jit.off() end
local zmq, loop = zmqloop.zmq, new_loop()
local ctx = zmq.Context()
local push = ctx:socket("PUSH", {bind = "inproc://x"})
local pull = zmqloop.ZMQStream(ctx:socket("PULL", {connect = "inproc://x"}), loop)
local failures, received, count = 0, {false, false, false, false}, 0
-- These ask for no memory, not even for that of another call.
loop:on_error(function() failures = failures + 1 end)
local function on_frame(frame)
  count = count + 1
  received[count] = frame
end
local function on_frames(frames)
  count = count + 1
  received[count] = frames[1]
end
for _, unpacked in ipairs{true, false} do
  pull:on_recv(unpacked and on_frame or on_frames, {unpack = unpacked})
  loop:step(0)
  local n = 0
  repeat
    n = n + 1
    count = 0
    for i = 1, 3 do push:send(("%d %d "):format(n, i) .. ("x"):rep(i * 25)) end
    local failed = failures
    collectgarbage()
    arm(n)
    local ok = pcall(loop.step, loop, 0)
    off()
    local came_through = ok and failures == failed and count == 3
    for _ = 1, 20 do loop:step(0) end
    if count ~= 3 then error(("%d came of 3"):format(count)) end
    for i = 1, 3 do
      local text = ("%d %d "):format(n, i) .. ("x"):rep(i * 25)
      if received[i] ~= text then error(("%d: %s"):format(i, tostring(received[i]))) end
    end
  until came_through or n > 1000
  assert(n > 3, n)
end
print("ok")
