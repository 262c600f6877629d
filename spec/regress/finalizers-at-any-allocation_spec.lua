-- A finalizer may run at any allocation, and may set, release, put, cancel and close: a task that
-- was about to be queued was not seen by it, and waited for ever; a task that was being woken was
-- woken twice. Each operation is repeated with the act in a finalizer at the first, second, third
-- point and so on where the collector may run, until there are no more points. In a process of its
-- own with a small heap, so that each collection finishes.
local helper = require("spec.helper")

local MACHINE = helper.program("finalizer_at_any_allocation")

describe("a finalizer at any allocation", function()
  after_each(helper.cleanup)

  it("loses no wake-up, and wakes nobody twice, in any operation of tasks", helper.test(function(t)
    local output, status = t:run_child(MACHINE, nil, 300)
    assert.matches("all right\t%d+\t0\n$", output)
    assert.equal(0, status)
  end))
end)
