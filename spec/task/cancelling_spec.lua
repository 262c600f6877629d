-- Tasks that are cancelled.
local helper = require("spec.helper")
local fixture = require("spec.task.fixture")
local zmqloop = require("zmqloop")

local Future, sleep, gather = zmqloop.Future, zmqloop.sleep, zmqloop.gather
local with_timeout, CANCELLED = zmqloop.with_timeout, zmqloop.CANCELLED

local pcall = zmqloop.pcall -- luacheck: ignore 431

local virtual, later = fixture.virtual, fixture.later

describe("cancelling a task", function()
  after_each(helper.cleanup)

  it("also cancels a task that awaits it", virtual(function(_, loop)
    local inner = Future(loop)
    local outer = loop:spawn(function() inner:await() end)
    loop:advance(0)
    inner:cancel()
    loop:advance(0)
    assert.is_true(outer:cancelled())
  end))

  it("is recognized when the error was caught and raised again", virtual(function(_, loop)
    local task = loop:spawn(function()
      local ok, err = pcall(sleep, 10)
      error(ok or err) -- with a position before it
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
  end))

  it("is another error when its text is only the end of one", virtual(function(_, loop)
    local cancelled = loop:spawn(function() end)
    cancelled:cancel()
    for _, text in ipairs{"order 17 failed: ", "a.lua:3: order: ", "line\na.lua:3: "} do
      local task = loop:spawn(function() error(text .. cancelled:error(), 0) end)
      loop:advance(0)
      assert.is_false(task:cancelled())
      assert.equal(text .. CANCELLED, task:error())
    end
    for _, text in ipairs{"", "a.lua:3: ", "a.lua:3: ./b.lua:15: ", '[string "a: b"]:1: '} do
      local task = loop:spawn(function() error(text .. cancelled:error(), 0) end)
      loop:advance(0)
      assert.is_true(task:cancelled())
    end
  end))

  it("leaves no timer of its wait behind", virtual(function(_, loop)
    local task = loop:spawn(function() Future(loop):await(100) end)
    loop:advance(1)
    task:cancel()
    local before = loop:time()
    loop:run()
    assert.is_true(task:cancelled())
    assert.equal(before, loop:time())
  end))

  it("raises CANCELLED where it sleeps, and takes the timer away", virtual(function(_, loop)
    local went_on = false
    local task = loop:spawn(function()
      sleep(10)
      went_on = true
    end)
    loop:advance(1)
    assert.is_true(task:cancel())
    loop:advance(0)
    assert.is_true(task:done())
    assert.is_true(task:cancelled())
    assert.is_false(task:cancel())
    loop:advance(100)
    assert.is_false(went_on)
    assert.equal(0, loop:stats().timers)
  end))

  it("before it began leaves it uncalled", virtual(function(_, loop)
    local called = false
    local task = loop:spawn(function() called = true end)
    assert.is_true(task:cancel())
    assert.is_true(task:cancelled())
    loop:advance(0)
    assert.is_false(called)
  end))

  it("can be caught, and cleaned up after", virtual(function(_, loop)
    local cleaned = false
    local task = loop:spawn(function()
      local ok, err = pcall(sleep, 10)
      assert(not ok and err == CANCELLED)
      sleep(1) -- cleaning up may take time
      cleaned = true
      error(err, 0)
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(1)
    assert.is_true(cleaned)
    assert.is_true(task:cancelled())
  end))

  it("that catches it and returns is a result", virtual(function(_, loop)
    local task = loop:spawn(function()
      pcall(sleep, 10)
      return "went on"
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.equal("went on", task:result())
    assert.is_false(task:cancelled())
  end))

  it("cancels what it awaits, but not what is shielded", virtual(function(_, loop)
    local inner, shielded = later(loop, 10, 1), later(loop, 10, 2)
    local first = loop:spawn(function() inner:await() end)
    local second = loop:spawn(function() zmqloop.shield(shielded):await() end)
    loop:advance(1)
    first:cancel()
    second:cancel()
    loop:advance(0)
    assert.is_true(first:cancelled())
    assert.is_true(second:cancelled())
    assert.is_true(inner:cancelled())
    assert.is_false(shielded:done())
    loop:advance(10)
    assert.equal(2, shielded:result())
  end))

  it("by itself is raised where it waits next", virtual(function(_, loop)
    local reached, task = false, nil
    task = loop:spawn(function()
      task:cancel()
      reached = true
      sleep(1)
      error("not reached")
    end)
    loop:advance(0)
    assert.is_true(reached)
    assert.is_true(task:cancelled())
  end))

  it("in the iteration in which its future is done loses no result", virtual(function(_, loop)
    local future = Future(loop)
    local task = loop:spawn(function() return future:await() end)
    loop:advance(0)
    future:set_result("kept")
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
    assert.equal("kept", future:result())
  end))

  it("at every point of a scenario leaves nothing behind", virtual(function(_, loop)
    local function scenario(steps)
      local function at(name) steps[#steps + 1] = name end
      at("begin")
      sleep(1)
      at("slept")
      local a = later(loop, 1, "a"):await()
      at(a)
      local results = gather{later(loop, 1, "b"), later(loop, 2, "c")}
      at(results[1] .. results[2])
      with_timeout(5, later(loop, 1))
      at("end")
    end
    local complete = 0
    for delay = 0, 12 do
      local steps = {}
      local task = loop:spawn(scenario, steps)
      loop:advance(delay / 2)
      local cancelled = task:cancel()
      loop:advance(0)
      assert.is_true(task:done())
      assert.equal(cancelled, task:cancelled())
      if not cancelled then complete = complete + 1 end
      local before = loop:stats().timers
      loop:advance(100)
      assert.equal(before, loop:stats().timers, "timers left after " .. #steps)
    end
    assert.is_true(complete > 0 and complete < 13)
  end))
end)
