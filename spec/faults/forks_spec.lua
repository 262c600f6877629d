-- A process that has its parent's loop.
local helper = require("spec.helper")
local test = helper.test

local function has_module(name)
  return (pcall(require, name))
end

describe("a forked process", function()
  after_each(helper.cleanup)

  -- A loop with one of each. `in_child` runs in the child and says what is
  -- wrong; afterwards all has to work in the parent.
  local PARENT = helper.program("before_a_fork")

  local function check(t, source)
    if not has_module("process") then pending("needs the module process of the build") end
    local output, status = t:run_child(PARENT .. source)
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end

  it("cannot use its parent's loop, and can close it without harm to that", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        local ok, err = pcall(in_child)
        if not ok then print(err) end
        process.leave(ok and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("may end as any program does", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        os.exit(0, true)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("may make a loop of its own", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        local own, called = new_loop(), false
        own:call_later(0.001, function() called = true own:stop() end)
        own:start()
        process.leave(called and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("that comes to life in a callback leaves the parent's events alone", test(function(t)
    check(t, [[
      local pid
      loop:add_callback(function()
        pid = process.fork()
        if pid ~= 0 then loop:stop() end
      end)
      local ok, err = pcall(loop.start, loop)
      if pid == 0 then
        process.leave(not ok and tostring(err):find("ECHILD", 1, true) and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))
end)
