-- A wait that timed out left its line, and then there was no memory for the text of the error: the
-- task waited for ever, and cancel() did not end it either. What has no memory to wake a task is an
-- error of a callback; the task can be cancelled then.
local helper = require("spec.helper")

local waits = {
  ["await()"] = "local future = z.Future(loop) return function() future:await(1) end",
  ["await() of a future that was made elsewhere"] = [[
    local future = z.Future(new_loop())
    return function() future:await(1) end
  ]],
  ["with_timeout() of a future"] = [[
    local future = z.Future(loop)
    return function() z.with_timeout(1, future) end
  ]],
  ["with_timeout() of a task"] = [[
    local task = loop:spawn(z.sleep, 100)
    return function() z.with_timeout(1, task) end
  ]],
  ["sleep()"] = "return function() z.sleep(1) end",
  ["acquire()"] = [[
    local lock = z.Lock()
    lock:acquire(0)
    return function() lock:acquire(1) end
  ]],
  ["get()"] = "local queue = z.Queue() return function() queue:get(1) end",
  ["wait()"] = "local event = z.Event() return function() event:wait(1) end",
}

local PROGRAM = [==[
  local z = require("zmqloop")
  local faultalloc = require("faultalloc")
  if rawget(_G, "jit") then jit.off() end
  z.preload()
  local new_wait = (loadstring or load)("local z, loop, new_loop = ... " .. (...))
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
]==]

describe("a wait whose time is up, without memory,", function()
  after_each(helper.cleanup)

  for name, source in pairs(waits) do
    it("ends, or can be cancelled: " .. name, helper.test(function(t)
      if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
      local output, status = t:run_child(PROGRAM, {source}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end
end)
