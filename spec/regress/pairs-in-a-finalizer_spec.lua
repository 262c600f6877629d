-- Debian 12's LuaJIT never left a compiled loop over pairs() in a finalizer, where it compiles no
-- code for values of another type. See "LuaJIT's path" in docs/binding.md.
local helper = require("spec.helper")

describe("a finalizer", function()
  after_each(helper.cleanup)

  it("may open loops with other options than before", helper.test(function(t)
    local output, status = t:run_child(helper.program("loops_in_a_finalizer"), {}, 60)
    assert.are.equal("100\n", output)
    assert.are.equal(0, status)
  end))
end)
