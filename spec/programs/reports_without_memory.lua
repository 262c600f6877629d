-- Reports of what was sent, while memory runs out.
local faultalloc = require("faultalloc")
local arm, off = faultalloc.fail_once, faultalloc.off
if rawget(_G, "jit") then jit.off() end
local loop, ctx = zmqloop.IOLoop{impl = BACKEND}, zmqloop.zmq.Context()
local out = zmqloop.ZMQStream(ctx:socket("PUSH", {bind = "inproc://kept"}), loop)
local into = ctx:socket("PULL", {connect = "inproc://kept"})
local kept = setmetatable({}, {__mode = "k"})
local made, reported, received = 0, 0, 0
for _, options in ipairs({{}, {track = true}, {copy = false}}) do
  local n, sent = 0, false
  repeat
    n = n + 1
    local list = {}
    for i = 1, 12 do list[i] = ("%d %d"):format(n, i) end
    local callback = function() reported = reported + 1 end
    kept[callback] = true
    made = made + 1
    options.callback = callback
    collectgarbage()
    arm(n)
    local ok, accepted, _, name = pcall(out.send_multipart, out, list, options)
    off()
    sent = ok and accepted ~= nil
    if sent then received = received + 1 end
    if ok and accepted == nil and name ~= "ENOMEM" then print(name) end
  until sent and n > 30
  options.callback = nil
end
assert(out:send("the last", print))
while loop:step(0) > 0 do end
while into:recv_multipart(zmqloop.zmq.DONTWAIT) do received = received - 1 end
out:on_send(nil)
collectgarbage()
collectgarbage()
local count = 0
for _ in pairs(kept) do count = count + 1 end
print(count, received)
ctx:destroy(0)
