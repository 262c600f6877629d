-- Errors of the wait were ignored: the loop spun, and nothing was reported.
local helper = require("spec.helper")

describe("a wait that the system refuses", function()
  after_each(helper.cleanup)

  -- As by a library that closes all descriptors when it makes a daemon of the process.
  it("is an error of the method that runs the loop", helper.test(function(t)
    local output, status = t:run_child(helper.program("wait_that_fails"))
    local _, told = output:gsub("false\t[^\n]*EBADF: bad file descriptor\n", "")
    assert.equal(4, told, output)
    assert.matches("true\n", output)
    assert.equal(0, status)
  end))
end)
