-- A call that finds no memory. Argument: "fail_from" or "fail_once".
local arm, off = require("faultalloc")[...], require("faultalloc").off
if rawget(_G, "jit") then jit.off() end
local failures, called, fired = 0, 0, 0
local function callback() called = called + 1 end
local function timer() fired = fired + 1 end
local function count() failures = failures + 1 end
local function new()
  local loop = new_loop()
  loop:on_error(count)
  return loop
end
for round = 1, 2 do
  local n, came_through = 0, nil
  repeat
    n = n + 1
    failures, called, fired = 0, 0, 0
    local loop = new()
    if round == 2 then -- a loop that has a coroutine for calls already
      loop:add_callback(callback)
      loop:step(0)
      called = 0
    end
    for _ = 1, 3 do loop:add_callback(callback) end
    for _ = 1, 3 do loop:call_later(0, timer) end
    arm(n)
    local ok = pcall(loop.step, loop, 0)
    off()
    if not ok then failures = failures + 1 end -- no memory for on_error: step() raises
    came_through = ok and failures == 0 and called == 3 and fired == 3
    for _ = 1, 5 do pcall(loop.step, loop, 0) end
    assert(called + fired + failures >= 6, ("%d: %d called, %d fired, %d failed"):format(
      n, called, fired, failures))
    local before = called
    loop:add_callback(callback)
    loop:step(0)
    assert(called == before + 1, n .. ": a callback came late")
    loop:close()
  until came_through or n > 1000
  assert(came_through, n)
end
print("ok")
