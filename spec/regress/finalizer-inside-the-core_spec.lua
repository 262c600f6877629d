-- Recording the slowest callback looked up its __call by a string that Lua had to allocate: a
-- finalizer that ran then raised its error across the core, and the loop counted as running for
-- ever.
local helper = require("spec.helper")

local program = helper.program("finalizer_inside_the_core")

describe("a finalizer that fails", function()
  after_each(helper.cleanup)

  it("raises nothing out of the loop's own bookkeeping", helper.test(function(t)
    local output, status = t:run_child(program)
    output = output:gsub("lua[%d.]*: warning: error in __gc\n", "")
    assert.equal("true\ttrue\n", output)
    assert.equal(0, status)
  end))
end)
