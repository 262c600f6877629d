-- When there was no memory for the coroutine of a call, the core had taken the callback and Lua had
-- not: from then on each callback was called when the next one was due, and the last one never. A
-- timer whose call failed in this way was lost, and a task sleeping on it never woke.
local helper = require("spec.helper")

describe("a call for which there is no memory", function()
  after_each(helper.cleanup)

  for _, mode in ipairs{"fail_from", "fail_once"} do
    it("comes when there is some (" .. mode .. ")", helper.test(function(t)
      if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
      local output, status = t:run_child(helper.program("call_without_memory"), {mode}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end
end)
