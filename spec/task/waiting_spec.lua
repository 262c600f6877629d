-- await() and with_timeout().
local helper = require("spec.helper")
local fixture = require("spec.task.fixture")
local zmqloop = require("zmqloop")

local Future, sleep = zmqloop.Future, zmqloop.sleep
local with_timeout = zmqloop.with_timeout

local pcall = zmqloop.pcall -- luacheck: ignore 431

local virtual, later = fixture.virtual, fixture.later
local failing, error_of = fixture.failing, fixture.error_of

describe("await()", function()
  after_each(helper.cleanup)

  it("raises after its time, and the future goes on", virtual(function(_, loop)
    local slow = later(loop, 10, "late")
    assert.matches("^ETIMEDOUT: ", error_of(loop, function() slow:await(1) end))
    assert.equal("late", slow:result())
  end))

  it("has done with its timer when the future is done", virtual(function(_, loop)
    assert.equal("quick", loop:run_sync(function()
      return zmqloop.await(later(loop, 1, "quick"), 100)
    end))
    loop:advance(200)
    assert.equal(1, loop:stats().timers)
  end))

  it("serves several waiters in order", virtual(function(_, loop)
    local future, order = Future(loop), {}
    for i = 1, 3 do
      loop:spawn(function() order[i] = future:await() .. #order end)
    end
    loop:advance(0)
    future:set_result("x")
    loop:advance(0)
    assert.same({"x0", "x1", "x2"}, order)
  end))

  it("that gives up, hundreds of times, leaves the others in order", virtual(function(_, loop)
    local future, order, given_up = Future(loop), {}, 0
    for i = 1, 200 do
      loop:spawn(function()
        if i % 10 == 0 then
          local zero = future:await()
          order[#order + 1] = i + zero
        elseif not pcall(future.await, future, 1 + i % 3) then
          given_up = given_up + 1
        end
      end)
    end
    loop:advance(10)
    assert.equal(180, given_up)
    assert.is_true(#future.callbacks <= 6 * 20)
    future:set_result(0)
    loop:advance(0)
    local expected = {}
    for i = 1, 20 do expected[i] = 10 * i end
    assert.same(expected, order)
  end))

  it("wants a future, and a number of seconds", virtual(function(_, loop)
    local function says(text, fn)
      assert.matches(text, error_of(loop, fn))
    end
    says("bad argument #1 to 'await'", function() zmqloop.await(1) end)
    says("bad argument #2 to 'await'", function() zmqloop.await(Future(loop), "1") end)
    says("bad argument #1 to 'await'", function() Future(loop):await(0 / 0) end)
    says("bad argument #1 to 'sleep'", function() sleep() end)
    says("bad argument #1 to 'with_timeout'", function() with_timeout(nil, Future(loop)) end)
    says("bad argument #2 to 'with_timeout'", function() with_timeout(1) end)
  end))
end)

describe("with_timeout()", function()
  after_each(helper.cleanup)

  it("returns results that come in time", virtual(function(_, loop)
    assert.equal("x", loop:run_sync(function() return with_timeout(5, later(loop, 1, "x")) end))
    assert.equal("bad", error_of(loop, function() with_timeout(5, failing(loop, 1, "bad")) end))
  end))

  it("returns results that are there already, however short the time",
    virtual(function(_, loop)
      local done = Future(loop)
      done:set_result("y")
      assert.equal("y", loop:run_sync(function() return with_timeout(0, done) end))
    end))

  it("raises after its time and cancels the future", virtual(function(_, loop)
    local slow = later(loop, 10)
    assert.matches("^ETIMEDOUT: Operation timed out after 1 seconds", error_of(loop, function()
      with_timeout(1, slow)
    end))
    assert.is_true(slow:cancelled())
  end))

  it("leaves what is shielded alone", virtual(function(_, loop)
    local slow = later(loop, 10, "kept")
    assert.matches("^ETIMEDOUT", error_of(loop, function()
      with_timeout(1, zmqloop.shield(slow))
    end))
    assert.equal("kept", slow:result())
  end))
end)
