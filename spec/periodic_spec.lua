local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local PeriodicCallback, DelayedCallback = ioloop.PeriodicCallback, ioloop.DelayedCallback
local test = helper.test

local function noop() end

local function spin_until(loop, when)
  while loop:time() < when do noop() end
end

describe("the grid of a periodic callback", function()
  local grid = require("zmqloop.periodic").grid

  it("goes on by one period, or with skips to the first point after now", function()
    for _, case in ipairs{
      -- time, now, period, skips; point, how many are skipped
      {10, 10, 2, false, 12, 0}, {10, 17, 2, false, 12, 0}, {10, 3, 2, false, 12, 0},
      {10, 10, 2, true, 12, 0}, {10, 11.9, 2, true, 12, 0}, {10, 12, 2, true, 14, 1},
      {10, 17, 2, true, 18, 3}, {10, 3, 2, true, 12, 0}, {-4, 0, 2, true, 2, 2},
      {0, 0.3, 0.1, true, 0.4, 3}, {0, 0.57, 0.01, true, 0.58, 57},
    } do
      local point, skipped = grid(case[1], case[2], case[3], case[4])
      assert.same({case[5], case[6]}, {point, skipped})
    end
  end)

  it("advances also by a period below the clock's resolution", function()
    for _, time in ipairs{0, 1, 1e9, -1e9, 1e18} do
      for _, skips in ipairs{true, false} do
        assert.is_true(grid(time, time, 1e-12, skips) > time)
        assert.is_true(not skips or grid(time, time + 1, 1e-12, true) > time + 1)
      end
    end
  end)

  it("is after now with skips, and keeps to multiples of the period", function()
    for i = 1, 1000 do
      local period, now = math.random(1, 500) / 1000, math.random() * i
      local point, skipped = grid(0, now, period, true)
      assert.is_true(point > now and point - now <= period + 1e-6)
      assert.is_true(math.abs(point - (skipped + 1) * period) < 1e-6)
    end
  end)
end)

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

  it("stays on the grid where a call that has missed cycles fails", test(function(t)
    local loop = t:keep(IOLoop{clock = "virtual"})
    loop:on_error(noop)
    for _, yields in ipairs{false, true} do
      local start, calls = loop:time(), {}
      local periodic = PeriodicCallback(function()
        calls[#calls + 1] = math.floor((loop:time() - start) * 1000 + 0.5)
        if #calls == 1 and yields then zmqloop.sleep(0.025) end
        if #calls == 1 and not yields then loop:advance(0.025) end
        if #calls < 3 then error("a failure") end
      end, 10, loop)
      periodic:start()
      for _ = 1, 8 do loop:advance(0.01) end
      periodic:stop()
      assert.same({10, 40, 50}, {calls[1], calls[2], calls[3]})
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

  it("given no loop uses the one that is current at start()", test(function(t)
    local other = t:keep(IOLoop(helper.loop_options()))
    other:make_current()
    local periodic
    periodic = PeriodicCallback(t.expect(function()
      periodic:stop()
      t.loop:stop()
    end), 1)
    t.loop:make_current()
    periodic:start()
    other:make_current()
    t:start()
    IOLoop.clear_current()
    assert.equal(0, (other:step(0)))
  end))

  it("stops at the third call when that says so", test(function(t)
    local count = 0
    local periodic
    periodic = PeriodicCallback(function()
      count = count + 1
      if count == 3 then
        periodic:stop()
        t.loop:call_later(0.03, function() t.loop:stop() end)
      end
    end, 10, t.loop)
    periodic:start()
    t:start()
    assert.equal(3, count)
  end))

  it("goes on until a delayed one ends the loop", test(function(t)
    local calls = 0
    local periodic = PeriodicCallback(function() calls = calls + 1 end, 10, t.loop)
    local delayed = DelayedCallback(t.expect(function() t.loop:stop() end), 200, t.loop)
    local start = t.loop:time()
    periodic:start()
    delayed:start()
    t:start()
    periodic:stop()
    assert.is_true(t.loop:time() >= start + 0.2)
    assert.is_true(calls >= 1 and calls <= 20)
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
    local jit = rawget(_G, "jit")
    if jit then jit.flush() end -- compiled code keeps the functions it was made for
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

  it("is on its grid to the nanosecond, whatever the period", test(function(t)
    for _, case in ipairs{{10, 0.01}, {100, 0.1}, {0.3, 0.0003}, {70, 0.07}} do
      local milliseconds, period = case[1], case[2]
      local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
      loop:on_error("raise")
      local calls = 0
      local periodic = PeriodicCallback(function()
        calls = calls + 1
        assert.equal(("%.9f"):format(calls * period), ("%.9f"):format(loop:time()))
      end, milliseconds, loop)
      periodic:start()
      loop:advance(100 * period)
      periodic:stop()
      assert.equal(100, calls, ("%g ms"):format(milliseconds))
    end
  end))

  it("shows its type", test(function(t)
    assert.matches("^PeriodicCallback", tostring(PeriodicCallback(noop, 1, t.loop)))
  end))
end)

-- Times are those of a virtual clock: seconds from 0 on.
describe("PeriodicCallback with a body that yields", function()
  after_each(helper.cleanup)

  local function virtual_loop(t)
    local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
    loop:on_error("raise")
    return loop
  end

  -- Suspends the body for this many seconds, as plain Lua does it.
  local function pause(loop, seconds)
    local co = coroutine.running()
    loop:call_later(seconds, function() assert(coroutine.resume(co)) end)
    coroutine.yield()
  end

  -- Every 10 s a body of `seconds` s; when they started, until `enough` s.
  local function starts(t, seconds, enough, options)
    local loop = virtual_loop(t)
    local begun, ended = {}, 0
    options = options or {}
    options.io_loop = loop
    local periodic = PeriodicCallback(function()
      assert.equal(#begun, ended, "bodies overlap")
      begun[#begun + 1] = loop:time()
      pause(loop, seconds)
      ended = ended + 1
    end, 10000, options)
    periodic:start()
    loop:advance(enough)
    periodic:stop()
    return begun, ended
  end

  it("does not call again before it has returned, and skips what it missed",
    test(function(t)
      local begun, ended = starts(t, 25, 100)
      assert.same({10, 40, 70, 100}, begun)
      assert.equal(3, ended)
    end))

  it("waits as a task does, and does not overlap", test(function(t)
    local loop = virtual_loop(t)
    local begun, ended = {}, 0
    local periodic = PeriodicCallback(function()
      begun[#begun + 1] = loop:time()
      zmqloop.sleep(5)
      loop:spawn(zmqloop.sleep, 20):await()
      ended = ended + 1
    end, 10000, loop)
    periodic:start()
    loop:advance(100)
    periodic:stop()
    assert.same({10, 40, 70, 100}, begun)
    assert.equal(3, ended)
  end))

  it("has an error behind a wait reported as its own, and is called again", test(function(t)
    local loop = virtual_loop(t)
    local seen = {}
    loop:on_error(function(...) seen[#seen + 1] = {...} end)
    local function body()
      zmqloop.sleep(5)
      error("too late", 0)
    end
    local periodic = PeriodicCallback(body, 10000, loop)
    periodic:start()
    loop:advance(40)
    periodic:stop()
    assert.equal(3, #seen)
    assert.same({body, "too late"}, {seen[1][1], seen[1][2]})
    assert.matches("periodic_spec%.lua:%d+: in .-callback", seen[1][3])
  end))

  it("may wait, and then yield to someone who resumes it", test(function(t)
    local loop = virtual_loop(t)
    local begun, ended = 0, 0
    local periodic = PeriodicCallback(function()
      begun = begun + 1
      zmqloop.sleep(1)
      pause(loop, 15)
      ended = ended + 1
    end, 10000, loop)
    periodic:start()
    loop:advance(29)
    assert.same({1, 1}, {begun, ended})
    periodic:stop()
  end))

  -- 0.03 - 0.02 is less than 0.01: the next point must not be the present one.
  it("lets time pass while it is suspended, whatever the period", test(function(t)
    local loop = virtual_loop(t)
    local calls = 0
    local periodic
    periodic = PeriodicCallback(function()
      calls = calls + 1
      pause(loop, 0.025)
      if calls == 3 then periodic:stop() end
    end, 10, loop)
    periodic:start()
    for _ = 1, 100 do
      if not periodic:is_running() then break end
      loop:step(1)
    end
    assert.is_false(periodic:is_running())
    assert.equal(3, calls)
  end))

  it("calls each period while it is shorter than that", test(function(t)
    assert.same({10, 20, 30, 40}, (starts(t, 9, 45)))
  end))

  it('makes up for what it missed, with missed = "burst", at the next point of the grid',
    test(function(t)
      local loop = virtual_loop(t)
      local begun = {}
      local periodic = PeriodicCallback(function()
        begun[#begun + 1] = loop:time()
        if #begun == 1 then pause(loop, 25) end
      end, 10000, {io_loop = loop, missed = "burst"})
      periodic:start()
      loop:advance(60)
      periodic:stop()
      assert.same({10, 40, 40, 40, 50, 60}, begun)
    end))

  it("yields any number of times, to anyone", test(function(t)
    local loop = virtual_loop(t)
    local begun, holder = 0, nil
    local periodic = PeriodicCallback(function()
      begun = begun + 1
      holder = coroutine.running()
      assert.equal("a", coroutine.yield())
      assert.equal("b", coroutine.yield())
    end, 10000, loop)
    periodic:start()
    loop:advance(35)
    assert.equal(1, begun)
    assert.is_true(coroutine.resume(holder, "a"))
    loop:advance(10)
    assert.equal(1, begun)
    assert.is_true(coroutine.resume(holder, "b"))
    assert.equal("dead", coroutine.status(holder)) -- as that of any function that returned
    loop:advance(10)
    assert.equal(2, begun)
    periodic:stop()
  end))

  it("goes to the loop's error path before a yield, with its own traceback", test(function(t)
    local loop = virtual_loop(t)
    local seen = {}
    loop:on_error(nil)
    function loop.handle_callback_exception(_, callback, err, traceback)
      seen[#seen + 1] = {callback, err, traceback}
    end
    local function deep_inside() error("call failed") end
    local function body()
      local _ = deep_inside()
      return _
    end
    local periodic = PeriodicCallback(body, 10000, loop)
    periodic:start()
    loop:advance(20)
    periodic:stop()
    assert.equal(2, #seen)
    for _, report in ipairs(seen) do
      assert.equal(body, report[1])
      assert.matches("call failed", report[2])
      assert.matches("call failed.*stack traceback:.*deep_inside", report[3])
    end
    -- an error of something else afterwards has a traceback of its own
    local function other() error("another one") end
    loop:add_callback(other)
    loop:step(0)
    assert.equal(other, seen[3][1])
    assert.matches("another one.*stack traceback:", seen[3][3])
    assert.is_nil(seen[3][3]:find("deep_inside", 1, true))
  end))

  it("may fail with any value", test(function(t)
    local loop = virtual_loop(t)
    local object = setmetatable({}, {__tostring = function() return "its text" end})
    local values, i, seen = {object, {}, false, 42}, 0, {}
    loop:on_error(function(_, err, traceback) seen[#seen + 1] = {err, traceback} end)
    local periodic = PeriodicCallback(function()
      i = i + 1
      error(values[i], 0)
    end, 10000, loop)
    periodic:start()
    loop:advance(50)
    periodic:stop()
    for n, value in ipairs(values) do assert.equal(value, seen[n][1]) end
    assert.equal(helper.nil_error, seen[5][1])
    assert.matches("^its text\nstack traceback", seen[1][2])
    assert.matches("^%(error object is a table value%)\nstack traceback", seen[2][2])
  end))

  it("goes on after an error behind a yield, which is for who has resumed", test(function(t)
    local loop = virtual_loop(t)
    local begun, failures = 0, {}
    local periodic = PeriodicCallback(function()
      begun = begun + 1
      local co = coroutine.running()
      loop:call_later(25, function()
        local ok, err = coroutine.resume(co)
        failures[#failures + 1] = not ok and err
      end)
      coroutine.yield()
      error("too late", 0)
    end, 10000, loop)
    periodic:start()
    loop:advance(69)
    periodic:stop()
    assert.equal(2, begun)
    assert.same({"too late", "too late"}, failures)
  end))

  it("stopped and started while suspended does not overlap", test(function(t)
    local loop = virtual_loop(t)
    local begun, holder = {}, nil
    local periodic = PeriodicCallback(function()
      begun[#begun + 1] = loop:time()
      holder = coroutine.running()
      coroutine.yield()
    end, 10000, loop)
    periodic:start()
    loop:advance(12)
    periodic:stop()
    assert.is_false(periodic:is_running())
    loop:advance(20)
    periodic:start() -- at 32
    loop:advance(25)
    assert.same({10}, begun)
    assert.is_true(periodic:is_running())
    assert.is_true(coroutine.resume(holder)) -- at 57
    loop:advance(20)
    assert.same({10, 62}, begun)
    periodic:stop()
    assert.is_true(coroutine.resume(holder))
    loop:advance(100)
    assert.same({10, 62}, begun)
  end))

  it("can be stopped, and started, by the body behind its yield", test(function(t)
    local loop = virtual_loop(t)
    local begun = {}
    local periodic
    periodic = PeriodicCallback(function()
      begun[#begun + 1] = loop:time()
      pause(loop, 3)
      periodic:stop()
      if #begun < 3 then periodic:start() end
    end, 10000, loop)
    periodic:start()
    loop:run()
    assert.same({10, 23, 36}, begun)
  end))

  it("uses one coroutine for all calls that return without a yield", test(function(t)
    local loop = virtual_loop(t)
    local seen, count = {}, 0
    local periodic = PeriodicCallback(function()
      local co = coroutine.running()
      if not seen[co] then count = count + 1 end
      seen[co] = true
    end, 10000, loop)
    periodic:start()
    loop:advance(1000)
    periodic:stop()
    assert.equal(1, count)
  end))

  it("is not called by who resumes the coroutine of a call that has returned", test(function(t)
    local loop = virtual_loop(t)
    local calls, holder = 0, nil
    local periodic = PeriodicCallback(function()
      calls = calls + 1
      holder = coroutine.running()
    end, 10000, loop)
    periodic:start()
    loop:advance(10)
    for _ = 1, 3 do coroutine.resume(holder) end
    assert.equal(1, calls)
    assert.equal("dead", coroutine.status(holder))
    loop:advance(20)
    assert.equal(3, calls)
    periodic:stop()
  end))

  it("that steps the loop itself, resumed from outside, is not called again", test(function(t)
    local loop = virtual_loop(t)
    local calls, holder = 0, nil
    local periodic = PeriodicCallback(function()
      calls = calls + 1
      holder = coroutine.running()
      if calls == 1 then
        coroutine.yield()
        loop:advance(30) -- runs the loop on this coroutine
      end
    end, 10000, loop)
    periodic:start()
    loop:advance(10)
    assert(coroutine.resume(holder))
    assert.equal(1, calls)
    loop:advance(10)
    assert.equal(2, calls)
    periodic:stop()
  end))

  it("may be a callable table or a C function", test(function(t)
    local loop = virtual_loop(t)
    local calls = 0
    local table_body = setmetatable({}, {__call = function()
      calls = calls + 1
      pause(loop, 12)
    end})
    local periodic = PeriodicCallback(table_body, 10000, loop)
    periodic:start()
    local yielding = PeriodicCallback(coroutine.yield, 10000, loop)
    yielding:start()
    loop:advance(50)
    periodic:stop()
    yielding:stop()
    assert.equal(3, calls) -- at 10, 30, 50
  end))

  it("is collected with its suspended body when both are forgotten", test(function(t)
    local loop = virtual_loop(t)
    local weak = setmetatable({}, {__mode = "k"})
    helper.apart(function()
      local periodic
      periodic = PeriodicCallback(function()
        weak[coroutine.running()] = true
        coroutine.yield()
      end, 10000, loop)
      periodic:start()
      weak[periodic] = true
      loop:advance(10)
      periodic:stop()
    end)
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(next(weak))
  end))
end)
