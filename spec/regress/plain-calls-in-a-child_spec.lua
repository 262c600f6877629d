-- In a forked child libzmq fails with EINTR for ever in every call that processes the commands of a
-- socket: calls that retry on EINTR never returned.
local helper = require("spec.helper")
local test = helper.test

describe("a socket in a forked child", function()
  after_each(helper.cleanup)

  it("says that it belongs to the parent, and does not hang", test(function(t)
    if not pcall(require, "process") then pending("needs the module process of the build") end
    local output, status = t:run_child(helper.program("plain_calls_in_a_child"))
    assert.equal("ends\nparent goes on\n", output)
    assert.equal(0, status)
  end))

  it("takes no message, which could never leave", test(function(t)
    if not pcall(require, "process") then pending("needs the module process of the build") end
    if not io.open("/proc/self/status") then pending("only Linux tells that at no cost") end
    local output, status = t:run_child(helper.program("sends_in_a_child"))
    assert.equal("the child's own\n1\t2\t3\n", output)
    assert.equal(0, status)
  end))
end)
