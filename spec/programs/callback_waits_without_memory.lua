-- A callback that waits, while memory runs out at each point. Argument: the source of what it
-- waits with.
local z = require("zmqloop")
local faultalloc = require("faultalloc")
if rawget(_G, "jit") then jit.off() end
z.preload()
local new_operation = (rawget(_G, "loadstring") or load)("local z, loop = ... " .. (...))
local n, complete = 0, nil
repeat
  n = n + 1
  local loop = new_loop()
  loop:on_error(function() end)
  local wait, wake, check = new_operation(z, loop)
  local other = 0
  complete = false
  loop:add_callback(function()
    faultalloc.fail_once(n)
    local ok, result = pcall(wait)
    faultalloc.off()
    complete = ok and result or false
    if not ok then error(result, 0) end
  end)
  for _ = 1, 2 do pcall(loop.step, loop, 0) end
  faultalloc.off()
  wake()
  for _ = 1, 3 do loop:add_callback(function() other = other + 1 end) end
  local iterations = 0
  repeat
    iterations = iterations + 1
    local ok, _, more = pcall(loop.step, loop, 0.01)
    assert(iterations < 50, n .. ": the loop never comes to rest")
  until ok and not more and loop:timeout() == nil
  assert(other == 3, n .. ": other callbacks are lost")
  check(complete)
  loop:close(true)
until complete or n > 500
assert(complete, "it never came through")
print("ok")
