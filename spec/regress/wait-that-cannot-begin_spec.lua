-- A wait that found no memory after it had registered with what would wake it, or a hook's error
-- there, left that behind: a later wait of the same task ended early, a lock was handed to nobody,
-- and a timer of a callback was called for ever.
local helper = require("spec.helper")

describe("a wait that cannot begin for want of memory", function()
  after_each(helper.cleanup)

  it("raises, and leaves nothing that would end another wait", helper.test(function(t)
    if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
    local output, status = t:run_child(helper.program("waits_without_memory"), nil, 300)
    assert.matches("^%d%d%d+ failed, 0 wrong\n$", output)
    assert.equal(0, status)
  end))
end)
