local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local PeriodicCallback, DelayedCallback = ioloop.PeriodicCallback, ioloop.DelayedCallback
local test = helper.test

local function noop() end

local function spin_until(loop, when)
  while loop:time() < when do noop() end
end

describe("PeriodicCallback", function()
  after_each(helper.cleanup)

  it("is in the facade and has new", test(function(t)
    assert.equal(PeriodicCallback, zmqloop.PeriodicCallback)
    assert.is_false(PeriodicCallback.new(noop, 10, t.loop):is_running())
  end))

  it("calls each so many milliseconds, never early, without drift", test(function(t)
    local calls = {}
    local periodic = PeriodicCallback(function()
      calls[#calls + 1] = t.loop:time()
      if #calls == 5 then t.loop:stop() end
    end, 4, t.loop)
    local start = t.loop:time()
    periodic:start()
    assert.is_true(periodic:is_running())
    t:start()
    periodic:stop()
    assert.equal(5, #calls)
    for i = 1, 5 do
      assert.is_true(calls[i] >= start + i * 0.004, "call " .. i .. " is early")
    end
  end))

  it("skips the cycles it missed and stays on the grid", test(function(t)
    local calls = {}
    local periodic
    local start
    periodic = PeriodicCallback(function()
      calls[#calls + 1] = t.loop:time()
      if #calls == 1 then spin_until(t.loop, start + 0.035) end
      if #calls == 3 then
        periodic:stop()
        t.loop:stop()
      end
    end, 10, t.loop)
    start = t.loop:time()
    periodic:start()
    t:start()
    -- Due at 10; busy until 35; 20 and 30 are gone; then 40 and 50.
    assert.is_true(calls[2] >= start + 0.040)
    assert.is_true(calls[3] >= start + 0.050)
  end))

  it("calls once, not in a burst, when it was started long before the loop", test(function(t)
    local calls = {}
    local periodic = PeriodicCallback(function() calls[#calls + 1] = t.loop:time() end, 5, t.loop)
    local start = t.loop:time()
    periodic:start()
    spin_until(t.loop, start + 0.022)
    t:run_until(function() return #calls >= 2 end)
    assert.is_true(calls[2] >= start + 0.025)
    periodic:stop()
  end))

  it("start() twice is start() once", test(function(t)
    local calls = 0
    local periodic = PeriodicCallback(function() calls = calls + 1 end, 5, t.loop)
    local start = t.loop:time()
    periodic:start()
    periodic:start()
    periodic:start()
    local seen
    t.loop:call_later(0.03, function()
      seen = t.loop:time() - start
      t.loop:stop()
    end)
    t:start()
    periodic:stop()
    assert.is_true(calls >= 1)
    assert.is_true(calls <= math.floor(seen / 0.005), "it was called more often than once a period")
  end))

  it("start() again while running does not move the grid", test(function(t)
    local called = 0
    local periodic = PeriodicCallback(function()
      called = called + 1
    end, 20, t.loop)
    periodic:start()
    local ticks = 0
    local again
    again = t.loop:call_later(0.005, function()
      ticks = ticks + 1
      periodic:start() -- would put the first call off for ever
      if ticks < 20 then again:again(0.005) end
    end)
    t:run_until(function() return called >= 1 or ticks >= 20 end)
    assert.is_true(called >= 1)
    again:cancel()
    periodic:stop()
  end))

  it("can be stopped inside its callback", test(function(t)
    local periodic
    periodic = PeriodicCallback(t.expect(function()
      periodic:stop()
      assert.is_false(periodic:is_running())
    end), 1, t.loop)
    periodic:start()
    assert.is_true(t.loop:run())
  end))

  it("stopped and started inside its callback counts from there, once", test(function(t)
    local calls = {}
    local periodic
    periodic = PeriodicCallback(function()
      calls[#calls + 1] = t.loop:time()
      if #calls == 1 then
        spin_until(t.loop, t.loop:time() + 0.007)
        periodic:stop()
        periodic:start()
        calls.restarted = t.loop:time()
      elseif #calls == 3 then
        periodic:stop()
        t.loop:stop()
      end
    end, 5, t.loop)
    periodic:start()
    t:start()
    -- restarted was read after the start, so half a millisecond is conceded
    assert.is_true(calls[2] >= calls.restarted + 0.0045)
    assert.is_true(calls[3] >= calls.restarted + 0.0095)
  end))

  it("stop() twice, and before start(), does nothing", test(function(t)
    local periodic = PeriodicCallback(t.expect(noop, 0), 1, t.loop)
    periodic:stop()
    periodic:stop()
    periodic:start()
    periodic:stop()
    periodic:stop()
    assert.is_true(t.loop:run())
  end))

  it("survives an error in its callback", test(function(t)
    t:expect_errors()
    local calls = 0
    local periodic
    periodic = PeriodicCallback(function()
      calls = calls + 1
      if calls == 3 then
        periodic:stop()
        t.loop:stop()
      end
      error("call " .. calls, 0)
    end, 1, t.loop)
    periodic:start()
    t:start()
    assert.same({"call 1", "call 2", "call 3"}, t.errors)
  end))

  it("uses the current loop when given none", test(function(t)
    t.loop:make_current()
    local periodic
    periodic = PeriodicCallback(t.expect(function()
      periodic:stop()
      t.loop:stop()
    end), 1)
    periodic:start()
    t:start()
    zmqloop.IOLoop.clear_current()
  end))

  it("runs while only the loop knows of it, and is collected when stopped", test(function(t)
    local weak = setmetatable({}, {__mode = "k"})
    local calls = 0
    helper.apart(function()
      local periodic
      periodic = PeriodicCallback(function()
        calls = calls + 1
        if calls == 3 then periodic:stop() end
      end, 1, t.loop)
      periodic:start()
      weak[periodic] = true
    end)
    collectgarbage()
    t:run_until(function() collectgarbage() return calls == 3 end)
    t:settle()
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))

  it("rejects a period that is not positive, and what cannot be called", test(function(t)
    for _, bad in ipairs{0, -1, "x", {}, 0 / 0} do
      assert.has_error(function() PeriodicCallback(noop, bad, t.loop) end)
    end
    assert.has_error(function() PeriodicCallback(noop, nil, t.loop) end)
    for _, bad in ipairs{1, "x", {}} do
      assert.has_error(function() PeriodicCallback(bad, 1, t.loop) end)
    end
  end))

  it("shows its type", test(function(t)
    assert.matches("^PeriodicCallback", tostring(PeriodicCallback(noop, 1, t.loop)))
  end))
end)

describe("DelayedCallback", function()
  after_each(helper.cleanup)

  it("calls once, after so many milliseconds from start()", test(function(t)
    assert.equal(DelayedCallback, zmqloop.DelayedCallback)
    local started
    local delayed = DelayedCallback(t.expect(function()
      assert.is_true(t.loop:time() >= started + 0.005)
    end), 5, t.loop)
    started = t.loop:time()
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("may have a delay of 0", test(function(t)
    DelayedCallback(t.expect(noop), 0, t.loop):start()
    assert.is_true(t.loop:run())
  end))

  it("start() twice calls once", test(function(t)
    local delayed = DelayedCallback(t.expect(noop), 1, t.loop)
    delayed:start()
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("can be started again after it fired", test(function(t)
    local delayed = DelayedCallback(t.expect(noop, 2), 1, t.loop)
    delayed:start()
    assert.is_true(t.loop:run())
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("stopped does not fire, and leaves nothing to wait for", test(function(t)
    local delayed = DelayedCallback(t.expect(noop, 0), 3600000, t.loop)
    delayed:start()
    delayed:stop()
    delayed:stop()
    assert.is_true(t.loop:run())
  end))

  it("rejects what is no delay, and what cannot be called", test(function(t)
    for _, bad in ipairs{"x", {}, 0 / 0} do
      assert.has_error(function() DelayedCallback(noop, bad, t.loop) end)
    end
    assert.has_error(function() DelayedCallback("x", 1, t.loop) end)
  end))
end)
