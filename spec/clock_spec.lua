-- Loops with a clock other than the system's, and how time affects periodic callbacks.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local IOLoop, PeriodicCallback = zmqloop.IOLoop, zmqloop.PeriodicCallback
local test = helper.test

local function virtual_loop(t, start)
  local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
  loop:on_error("raise")
  loop:advance(start or 0)
  return loop
end

describe("a virtual clock", function()
  after_each(helper.cleanup)

  it("stands still until it is advanced", test(function(t)
    local loop = virtual_loop(t)
    assert.equal(0, loop:time())
    loop:add_callback(function() end)
    loop:step(0)
    assert.equal(0, loop:time())
    loop:advance(2.5)
    assert.equal(2.5, loop:time())
  end))

  -- 8.3 * 1e9 is 8300000000.000001, and 0.1 seconds 83 times 8.3.
  it("reaches times to the nanosecond as they are written", test(function(t)
    for _, seconds in ipairs{0.01, 0.29, 1.1, 8.3, 1000.7} do
      local loop = virtual_loop(t)
      local times = {}
      local function note() times[#times + 1] = loop:time() end
      loop:call_at(seconds, note)
      loop:call_later(seconds, note)
      loop:advance(seconds)
      assert.same({seconds, seconds}, times)
    end
    local fresh = virtual_loop(t)
    local called = false
    fresh:call_later(8.3, function() called = true end)
    for _ = 1, 83 do fresh:advance(0.1) end
    assert.is_true(called)
  end))

  it("calls what becomes due on the way, each at its time", test(function(t)
    local loop = virtual_loop(t)
    local seen = {}
    local function note(name) seen[#seen + 1] = name .. "@" .. loop:time() end
    loop:call_later(3, note, "c")
    loop:call_later(1, note, "a")
    loop:call_later(2, function()
      note("b")
      loop:add_callback(note, "callback")
      loop:call_later(0.5, note, "nested")
    end)
    loop:call_later(9, note, "late")
    loop:advance(4)
    assert.same({"a@1", "b@2", "callback@2", "nested@2.5", "c@3"},
      (function() for i, v in ipairs(seen) do seen[i] = v:gsub("%.0$", "") end return seen end)())
    assert.equal(4, loop:time())
  end))

  it("inside a callback only moves, as if the callback had taken so long", test(function(t)
    local loop = virtual_loop(t)
    local seen = {}
    loop:call_later(2, function() seen[#seen + 1] = loop:time() end)
    loop:call_later(1, function()
      loop:advance(5)
      assert.same({}, seen)
    end)
    loop:advance(1)
    assert.equal(6, loop:time())
    assert.same({6}, seen)
  end))

  it("jumps to the next deadline while the loop runs", test(function(t)
    local loop = virtual_loop(t)
    local seen = {}
    for _, delay in ipairs{3600, 60, 86400} do
      loop:call_later(delay, function() seen[#seen + 1] = loop:time() end)
    end
    loop:run()
    assert.same({60, 3600, 86400}, seen)
  end))

  it("jumps in a run that follows a stop as well", test(function(t)
    local loop = virtual_loop(t)
    loop:stop()
    loop:start()
    loop:call_later(1, function() loop:stop() end)
    loop:start()
    loop:call_later(1, function() end)
    loop:run()
    assert.equal(2, loop:time())
  end))

  it("lets events come before it jumps", test(function(t)
    local loop = virtual_loop(t)
    local a, b = t:pair("PAIR", "PAIR", "inproc")
    local seen = {}
    loop:add_handler(b, function(socket) seen[#seen + 1] = socket:recv() end, "r")
    loop:call_later(10, function() loop:stop() end)
    loop:call_later(5, function() seen[#seen + 1] = "five" end)
    a:send("event")
    loop:start()
    assert.same({"event", "five"}, seen)
  end))

  it("is asked for: another one cannot be advanced", test(function(t)
    assert.has_error(function() t.loop:advance(1) end, "only a virtual clock can be advanced")
    assert.has_error(function() virtual_loop(t):advance(-1) end)
    assert.has_error(function() virtual_loop(t):advance("x") end)
    assert.has_error(function() IOLoop{clock = "sundial"} end)
    assert.has_error(function() IOLoop{clock = 5} end)
  end))
end)

describe("a clock of the user's", function()
  after_each(helper.cleanup)

  it("is a function that returns seconds", test(function(t)
    local now, fired = 100, 0
    local loop = t:keep(IOLoop{impl = helper.backend, clock = function() return now end})
    loop:call_later(5, function() fired = fired + 1 end)
    assert.equal(100, loop:time())
    loop:step(0)
    now = 104.999
    loop:step(0)
    assert.equal(0, fired)
    now = 105
    loop:step(0)
    assert.equal(1, fired)
  end))

  it("makes due what is due at the time that it tells", test(function(t)
    local now = 0
    local loop = t:keep(IOLoop{impl = helper.backend, clock = function() return now end})
    for _, seconds in ipairs{0.07, 0.29, 0.57, 1.1, 8.3, 1000.7} do
      now = seconds
      loop:call_at(seconds, t.expect(function() end))
      loop:step(0)
      assert.equal(seconds, loop:time())
    end
  end))

  it("may fail: the error is raised by the method that runs the loop", test(function(t)
    local broken = false
    local loop = t:keep(IOLoop{impl = helper.backend, clock = function()
      if broken then error("no time", 0) end
      return 7
    end})
    loop:call_later(1, function() end)
    broken = true
    assert.has_error(function() loop:step(0) end, "no time")
    broken = false
    assert.equal(7, loop:time())
  end))
end)

describe("PeriodicCallback in time", function()
  local random = math.random

  after_each(function()
    math.random = random -- luacheck: ignore 122
    helper.cleanup()
  end)

  -- Runs a callback of 10 s from 1000 on, whose calls take durations[i] seconds,
  -- until there are as many calls as wanted.
  local function times(t, durations, count, options)
    local loop = virtual_loop(t, 1000)
    local calls = {}
    options = options or {}
    options.io_loop = loop
    local periodic = PeriodicCallback(function()
      calls[#calls + 1] = loop:time()
      loop:advance(durations[#calls] or 0)
      if #calls == count then loop:stop() end
    end, 10000, options)
    periodic:start()
    loop:start()
    periodic:stop()
    return calls
  end

  it("comes once a period", test(function(t)
    assert.same({1010, 1020, 1030, 1040, 1050}, times(t, {}, 5))
  end))

  it("skips what it overran and stays on the grid", test(function(t)
    assert.same({1010, 1020, 1030, 1050, 1070, 1100, 1130, 1170, 1210, 1220, 1230},
      times(t, {9, 9, 10, 11, 20, 20, 35, 35, 0, 0, 0}, 11))
  end))

  it('makes up for what it overran with missed = "burst"', test(function(t)
    assert.same({1010, 1035, 1035, 1040, 1050}, times(t, {25}, 5, {missed = "burst"}))
  end))

  it("tells how many points of the grid it has missed before a call", test(function(t)
    local loop = virtual_loop(t)
    local durations = {25, 10, 0, 0}
    local seen = {}
    local periodic
    periodic = PeriodicCallback(function()
      seen[#seen + 1] = ("%g: %d"):format(loop:time(), periodic.skipped)
      if #seen == 4 then -- another callback takes long
        loop:call_later(1, function() loop:advance(37) end)
      end
      loop:advance(durations[#seen] or 0)
    end, 10000, loop)
    periodic:start()
    loop:advance(125)
    periodic:stop()
    assert.same({"10: 0", "40: 2", "60: 1", "70: 0", "108: 2", "110: 0", "120: 0"}, seen)
  end))

  it("does not mind a clock that goes back", test(function(t)
    for _, deltas in ipairs{{-2, -1, -3, -2, 0}, {-100, 0, 0}} do
      local now, calls = 1000, {}
      local loop = t:keep(IOLoop{impl = helper.backend, clock = function() return now end})
      local periodic = PeriodicCallback(function()
        calls[#calls + 1] = now
        now = now + deltas[#calls]
      end, 10000, loop)
      periodic:start()
      while #calls < #deltas do
        now = now + 1
        loop:step(0)
      end
      for i, when in ipairs(calls) do assert.equal(1000 + 10 * i, when) end
    end
  end))

  it("varies by jitter around the period", test(function(t)
    local values, i = {0.5, 1, 0, 0.75, 0.5}, 0
    math.random = function() -- luacheck: ignore 122
      i = i + 1
      return values[i]
    end
    assert.same({1010, 1022.5, 1030, 1041.25}, times(t, {}, 4, {jitter = 0.5}))
  end))

  -- As Tornado's: the next call is scheduled when one has ended.
  it("takes a callback_time that a call sets from that call on", test(function(t)
    for _, fails in ipairs({false, true}) do
      local loop = virtual_loop(t)
      local calls = {}
      local periodic
      loop:on_error(function() end)
      periodic = PeriodicCallback(function()
        calls[#calls + 1] = loop:time()
        if #calls == 2 then
          periodic.callback_time = 5000
          if fails then error("after it") end
        end
      end, 10000, loop)
      periodic:start()
      loop:advance(36)
      assert.same({10, 20, 25, 30, 35}, calls)
      assert.equal(5000, periodic.callback_time)
    end
  end))

  it("takes one that is set between calls from the next call on", test(function(t)
    local loop = virtual_loop(t)
    local calls = {}
    local periodic = PeriodicCallback(function() calls[#calls + 1] = loop:time() end, 10000, loop)
    periodic:start()
    loop:call_later(12, function() periodic.callback_time = 5000 end)
    loop:advance(31)
    assert.same({10, 20, 25, 30}, calls)
  end))

  it("takes one that is set after stop() and start() within the call", test(function(t)
    local loop = virtual_loop(t)
    local calls = {}
    local periodic
    periodic = PeriodicCallback(function()
      calls[#calls + 1] = loop:time()
      if #calls == 1 then
        loop:advance(3)
        periodic:stop()
        periodic:start()
        periodic.callback_time = 4000
      end
    end, 10000, loop)
    periodic:start()
    for _ = 1, 30 do loop:advance(1) end
    assert.same({10, 23, 27, 31}, calls)
  end))

  it("refuses what would end the series, and goes on", test(function(t)
    local loop = virtual_loop(t)
    local calls, failed = 0, 0
    local periodic = PeriodicCallback(function() calls = calls + 1 end, 1000, loop)
    periodic:start()
    loop:advance(1)
    for name, values in pairs({
      callback_time = {0, -1, 0 / 0, "1000", {}},
      jitter = {"x", -1, 2, 0 / 0, true},
      missed = {"never", 1, true},
    }) do
      for _, value in ipairs(values) do
        local ok, err = pcall(function() periodic[name] = value end)
        assert.is_false(ok)
        assert.truthy(err:find("clock_spec.lua:%d+: bad " .. name .. " of a PeriodicCallback"))
        failed = failed + 1
      end
      assert.is_false((pcall(function() periodic[name] = nil end)))
    end
    for _, jitter in ipairs({"x", -1, 2, 0 / 0, true}) do
      helper.raises("bad argument #3 to 'PeriodicCallback' (jitter", PeriodicCallback, print, 1,
        {jitter = jitter})
    end
    periodic.jitter, periodic.missed = 0, "burst"
    assert.equal(1000, periodic.callback_time)
    assert.equal("burst", periodic.missed)
    loop:advance(2)
    assert.equal(3, calls)
    assert.equal(13, failed)
  end))

  it("does not start what was set to no time", test(function(t)
    local delayed = require("zmqloop.ioloop").DelayedCallback(print, 1, virtual_loop(t))
    for _, value in ipairs{0 / 0, "1", true, {}} do
      delayed.callback_time = value
      local ok, err = pcall(function() delayed:start() end)
      assert.is_false(ok)
      assert.truthy(err:find("clock_spec.lua:%d+: bad callback_time of a DelayedCallback"), err)
      assert.is_false(delayed:is_running())
    end
  end))
end)
