-- Closing a state waits up to a second for the threads that end its contexts. A forked child has
-- none of them, but waited for them all the same.
local helper = require("spec.helper")

describe("the end of a state in a forked child", function()
  after_each(helper.cleanup)

  -- Several times, since a busy machine may hold up any of them.
  it("does not wait for the parent's threads", helper.test(function(t)
    local output, status = t:run_child(helper.program("child_of_waiting_threads"))
    assert.matches("true", output)
    assert.equal(0, status)
  end))

  it("waits for its own", helper.test(function(t)
    local output, status = t:run_child(helper.program("child_with_unsent"))
    assert.matches("from the child", output)
    assert.equal(0, status)
  end))
end)
