-- A process that has its parent's loop.
local helper = require("spec.helper")
local test = helper.test

local function has_module(name)
  return (pcall(require, name))
end

describe("a forked process", function()
  after_each(helper.cleanup)

  local function check(t, case)
    if not has_module("process") then pending("needs the module process of the build") end
    local output, status = t:run_child(helper.program("forks"), {case})
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end

  it("cannot use its parent's loop, and can close it without harm to that", test(function(t)
    check(t, "closes_in_the_child")
  end))

  it("may end as any program does", test(function(t)
    check(t, "ends_as_programs_do")
  end))

  it("may make a loop of its own", test(function(t)
    check(t, "loop_of_its_own")
  end))

  it("that comes to life in a callback leaves the parent's events alone", test(function(t)
    check(t, "fork_in_a_callback")
  end))
end)
