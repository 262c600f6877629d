-- Modules that were loaded once more, as test runners and reloading hosts do,
-- made a second IOLoop.instance() and Context.instance().
local helper = require("spec.helper")

describe("modules that are loaded again", function()
  after_each(helper.cleanup)

  it("find the loops, contexts and classes of the state", helper.test(function(t)
    local output, status = t:run_child(helper.program("modules_loaded_again"))
    assert.equal("true\ttrue\ntrue\ntrue\ttrue\nfalse\n", output)
    assert.equal(0, status)
  end))
end)
