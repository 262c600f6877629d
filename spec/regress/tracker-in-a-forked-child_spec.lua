-- A tracker's pipe is shared with forked children. When one of them released a message it wrote to
-- the pipe, and from then on the parent's wait spun.
local helper = require("spec.helper")

describe("a tracker's wait", function()
  after_each(helper.cleanup)

  it("does not hear of what a forked child lets go of", helper.test(function(t)
    local output, status = t:run_child(helper.program("tracker_in_a_child"))
    assert.equal(0, status)
    assert.matches("ETIMEDOUT.*ETIMEDOUT.*true\ntrue\n", output)
  end))
end)
