-- Errors of callbacks, while each request for memory fails in turn.
-- Argument: "fail_from" or "fail_once".
local faultalloc = require("faultalloc")
local arm, off = faultalloc[...], faultalloc.off
local once = ... == "fail_once"
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
local heard = 0
loop:on_error(function()
  off()
  heard = heard + 1
end)
local n
local function callback()
  arm(n)
  local list = {}
  for i = 1, 4 do list[i] = {i} end
  off()
end
loop:add_callback(error, "a rehearsal")
loop:step(0)
assert(heard == 1)
for i = 1, 60 do
  n = i
  heard = 0
  local done = false
  loop:add_callback(callback)
  loop:add_callback(function() done = true end)
  local ok, err = pcall(loop.step, loop, 0)
  off()
  loop:step(0)
  -- While there is no memory at all nobody may be told: step() says so.
  if not ok and (once or err ~= "not enough memory") then print(i, "raised", err) end
  if not done then print(i, "dropped") end
  if ok and i == 1 and heard ~= 1 then print("not heard") end
end
print("ok")
