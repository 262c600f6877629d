-- In Lua 5.1 and LuaJIT nothing kept a handler alive during its call: one that was removed in its
-- call, and collected, was read when the call waited.
local helper = require("spec.helper")

describe("a handler that removes itself and then waits", function()
  after_each(helper.cleanup)

  it("is there until its call waits", helper.test(function(t)
    local output, status = t:run_child(helper.program("handler_that_removes_itself"), {}, 60)
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))
end)
