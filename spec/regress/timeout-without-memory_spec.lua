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

local PROGRAM = helper.program("timeout_without_memory")

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
