-- run_sync(): the loop runs until a function is done that may wait.
local helper = require("spec.helper")
local fixture = require("spec.task.fixture")
local zmqloop = require("zmqloop")

local Future, sleep = zmqloop.Future, zmqloop.sleep
local CANCELLED = zmqloop.CANCELLED

local pcall = zmqloop.pcall -- luacheck: ignore 431

local virtual = fixture.virtual

describe("run_sync()", function()
  after_each(helper.cleanup)

  it("returns what a function returns, at once or after waiting",
    virtual(function(_, loop)
      assert.equal(42, loop:run_sync(function() return 42 end))
      assert.same(helper.pack(1, nil, nil), helper.pack(loop:run_sync(function()
        sleep(1)
        return 1, nil, nil
      end)))
    end))

  it("returns nothing where that is what the function returns", virtual(function(_, loop)
    assert.equal(0, select("#", loop:run_sync(function() end)))
    assert.equal(0, select("#", loop:run_sync(function() sleep(1) end)))
  end))

  it("returns what comes before that which is not reached", virtual(function(_, loop)
    assert.equal(42, loop:run_sync(function()
      if loop:time() then return 42 end
      sleep(1)
      error("not reached")
    end))
  end))

  it("has done with its time when the function returns", virtual(function(_, loop)
    local before = loop:time()
    loop:run_sync(function() end, 100)
    loop:run()
    assert.equal(before, loop:time())
  end))

  it("wants a function and a number", virtual(function(_, loop)
    assert.error_matches(function() loop:run_sync(1) end, "bad argument #1 to 'run_sync'")
    assert.error_matches(function() loop:run_sync(print, "x") end, "bad argument #2 to 'run_sync'")
  end))

  it("raises what a function raises, before and after waiting",
    virtual(function(_, loop)
      for _, seconds in ipairs{0, 1} do
        local ok, err = pcall(loop.run_sync, loop, function()
          if seconds > 0 then sleep(seconds) end
          error("at " .. seconds, 0)
        end)
        assert.is_false(ok)
        assert.equal("at " .. seconds, err)
      end
    end))

  it("can be used again", virtual(function(_, loop)
    for i = 1, 3 do
      assert.equal(i, loop:run_sync(function()
        sleep(1)
        return i
      end))
    end
  end))

  it("waits for tasks that wait for tasks", virtual(function(_, loop)
    local function nested(depth)
      if depth == 0 then return "deep" end
      return loop:spawn(nested, depth - 1):await()
    end
    assert.equal("deep", loop:run_sync(function() return nested(5) end))
  end))

  it("has the loop as current", virtual(function(_, loop)
    loop:run_sync(function()
      sleep(1)
      assert.equal(loop, zmqloop.IOLoop.current())
    end)
  end))

  it("cancels what takes too long", virtual(function(_, loop)
    local finished = false
    assert.error_matches(function()
      loop:run_sync(function()
        sleep(10)
        finished = true
      end, 1)
    end, "^ETIMEDOUT: Operation timed out after 1 seconds$")
    loop:advance(100)
    assert.is_false(finished)
    assert.equal(42, loop:run_sync(function()
      sleep(1)
      return 42
    end, 3600))
  end))

  it("wants a callable, and a number of seconds", virtual(function(_, loop)
    assert.error_matches(function() loop:run_sync(42) end, "bad argument #1 to 'run_sync'")
    for _, seconds in ipairs{"1", 0 / 0} do
      assert.error_matches(function() loop:run_sync(print, seconds) end,
        "bad argument #2 to 'run_sync'")
    end
  end))

  it("tells being stopped from a timeout, and later runs are not stopped",
    virtual(function(_, loop)
      assert.error_matches(function()
        loop:run_sync(function()
          loop:stop()
          sleep(1)
        end, 10)
      end, "^EINTR: IOLoop stopped before the function completed$")
      assert.equal(1, loop:run_sync(function()
        sleep(20)
        return 1
      end))
    end))

  it("raises CANCELLED when its task is", virtual(function(_, loop)
    local ok, err = pcall(loop.run_sync, loop, function()
      local inner = Future(loop)
      loop:call_later(1, inner.cancel, inner)
      inner:await()
    end)
    assert.is_false(ok)
    assert.equal(CANCELLED, err)
  end))
end)
