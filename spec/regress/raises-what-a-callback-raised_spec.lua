-- LuaJIT before 2023-09-21 took the coroutine of a callback for the running one when a method then
-- raised: compiled code read a dead coroutine and crashed.
local helper = require("spec.helper")

-- Leaves a trace right after each call of try(i, loop), which is to fail.
local program = helper.program("raises_what_a_callback_raised")

describe("what a callback raised is raised again", function()
  after_each(helper.cleanup)

  for _, case in ipairs({"start", "run", "step", "run_sync", "flush", "recv", "drain", "close",
    "error_handler", "nested", "clock", "failing_clock", "time"}) do
    it("and compiled code goes on after it: " .. case, helper.test(function(t)
      local output, status = t:run_child(program, {case})
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end

  for _, method in ipairs({"start", "step"}) do
    it("and the next step does what there is to do: " .. method, helper.test(function(t)
      local called = 0
      t.loop:on_error("raise")
      t.loop:add_callback(error, "boom")
      assert.is_false((pcall(t.loop[method], t.loop)))
      t.loop:add_callback(function() called = called + 1 end)
      assert.equal(1, (t.loop:step(0)))
      assert.equal(1, called)
    end))
  end
end)
