-- Without memory to resume a task it was never woken again, and a task that had none to tell of its
-- end was awaited for ever, though memory was there a moment later.
local helper = require("spec.helper")

describe("a task for whose wake-up there is no memory", function()
  after_each(helper.cleanup)

  it("is woken as soon as there is some", helper.test(function(t)
    if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
    local output, status = t:run_child(helper.program("wakes_without_memory"), nil, 300)
    local told = tonumber(output:match("^%d%d+ times, (%d+) told\n$"))
    assert.is_true(told ~= nil and told <= 1, output) -- one call is left that nothing protects
    assert.equal(0, status)
  end))
end)
