-- A wait whose time is up, while memory runs out at each point. Argument: the source of the wait.
local z = require("zmqloop")
local faultalloc = require("faultalloc")
if rawget(_G, "jit") then jit.off() end
z.preload()
local new_wait = (rawget(_G, "loadstring") or load)("local z, loop, new_loop = ... " .. (...))
local n, failed = 0, nil
repeat
  n = n + 1
  local loop = z.IOLoop{impl = BACKEND, clock = "virtual"}
  loop:on_error(function() end)
  local task = loop:spawn(new_wait(z, loop, new_loop))
  loop:step(0)
  assert(not task:done())
  faultalloc.fail_once(n)
  local ok = pcall(loop.advance, loop, 1)
  failed = faultalloc.off() >= n
  for _ = 1, 2 do
    loop:advance(1)
    task:cancel()
  end
  loop:advance(0)
  assert(task:done(), ("%d (%s): %s waits: %s"):format(n, tostring(ok), tostring(task),
    task:traceback()))
  task:error()
until not failed
print("ok")
