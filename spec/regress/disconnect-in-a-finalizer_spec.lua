-- A finalizer that ran while a frame became a Lua string could make the stream receive the next
-- message, ahead of a disconnect, over the frame's bytes.
local helper = require("spec.helper")
local test = helper.test

describe("a disconnect in a finalizer", function()
  after_each(helper.cleanup)

  it("does not touch the message that is on its way to the callback", test(function(t)
    local output, status = t:run_child(helper.program("disconnect_in_a_finalizer"))
    assert.equal("all came\n", output)
    assert.equal(0, status)
  end))
end)
