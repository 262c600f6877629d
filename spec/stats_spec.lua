-- loop:stats(): what a loop has done and how long it took.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local async, test = helper.async, helper.test

-- The clock of the statistics is real: only the processor's time passes surely.
local function work(seconds)
  local ends = os.clock() + seconds
  while os.clock() < ends do end -- luacheck: ignore 542
end

local function line_of(fn)
  local info = debug.getinfo(fn, "S")
  return info.short_src .. ":" .. info.linedefined
end

describe("loop:stats()", function()
  after_each(helper.cleanup)

  it("is all zero for a new loop, and names no callback", test(function(t)
    local stats = t.loop:stats()
    for _, name in ipairs{"iterations", "callbacks", "timers", "events", "messages_in",
        "messages_out", "busy", "idle", "lateness_mean", "lateness_max", "slowest"} do
      assert.equal(0, stats[name], name)
    end
    assert.is_nil(stats.slowest_source)
  end))

  it("counts iterations, callbacks and timeouts that were called", test(function(t)
    for _ = 1, 3 do t.loop:add_callback(function() end) end
    t.loop:call_later(0, function() end)
    t.loop:call_later(3600, function() end)
    t.loop:call_later(0, error):cancel()
    t.loop:step()
    t.loop:step()
    local stats = t.loop:stats()
    assert.equal(3, stats.callbacks)
    assert.equal(1, stats.timers)
    assert.is_true(stats.iterations >= 2)
  end))

  it("counts messages of streams", async(function(t)
    local sender, receiver = t:streams("PUSH", "PULL")
    local received = 0
    receiver:on_recv(function() received = received + 1 end)
    for _ = 1, 5 do sender:send("x") end
    t:wait_until(function() return received == 5 end)
    local stats = t.loop:stats()
    assert.equal(5, stats.messages_in)
    assert.equal(5, stats.messages_out)
    assert.equal(0, stats.events)
  end))

  it("counts calls of handlers", async(function(t)
    local push, pull = t:pair("PUSH", "PULL")
    local called = 0
    t.loop:add_handler(pull, function()
      called = called + 1
      pull:recv()
    end, "r")
    push:send("x")
    t:wait_until(function() return called == 1 end)
    assert.equal(1, t.loop:stats().events)
  end))

  it("tells how late timeouts were, on the loop's clock", test(function()
    local loop = zmqloop.IOLoop{clock = "virtual", impl = helper.backend}
    loop:call_at(1, function() loop:advance(3) end)
    loop:call_at(2, function() end)
    loop:advance(2)
    local stats = loop:stats()
    loop:close()
    assert.equal(2, stats.timers)
    assert.equal(2, stats.lateness_max)
    assert.equal(1, stats.lateness_mean)
  end))

  it("parts the time of a run into busy and idle", test(function(t)
    t.loop:add_callback(work, 0.01)
    local function stop_when_idle()
      if t.loop:stats().idle > 0 then
        t.loop:stop()
      else -- the timeout was due before the loop came to its wait
        t.loop:call_later(0.01, stop_when_idle)
      end
    end
    t.loop:call_later(0.01, stop_when_idle)
    local before = t.loop:time()
    t:start()
    local took = t.loop:time() - before
    local stats = t.loop:stats()
    assert.is_true(stats.busy >= 0.01)
    assert.is_true(stats.idle > 0)
    assert.is_true(stats.busy + stats.idle <= took)
  end))

  it("counts the time of the run at hand", test(function(t)
    local busy
    t.loop:add_callback(function()
      work(0.01)
      busy = t.loop:stats().busy
    end)
    t.loop:step()
    assert.is_true(busy >= 0.01)
  end))

  -- Returns a function that works for 0.02 s, and twice as long each time; one that says whether it
  -- is the slowest callback, as the machine may have kept another one for longer; and one that says
  -- whether it was called since that was asked last.
  local function slower_and_slower(t)
    local seconds, called = 0.01, false
    local function slow()
      seconds, called = 2 * seconds, true
      work(seconds)
    end
    return slow, function() return t.loop:stats().slowest_source == line_of(slow) end, function()
      local was_called = called
      called = false
      return was_called
    end
  end

  it("names the slowest callback by its source line", test(function(t)
    local slow, is_slowest = slower_and_slower(t)
    local function quick() end
    for _ = 1, 8 do
      if not is_slowest() then
        t.loop:add_callback(quick)
        t.loop:add_callback(slow)
        t.loop:call_later(0, quick)
        t.loop:step()
      end
    end
    assert.is_true(is_slowest())
    assert.is_true(t.loop:stats().slowest >= 0.02)
  end))

  -- Each has slow called, and returns how to end that.
  local KINDS = {
    timeout = function(t, slow)
      local timer = t.loop:call_later(0, slow)
      return function() timer:cancel() end
    end,
    handler = function(t, slow)
      local push, pull = t:pair("PUSH", "PULL")
      t.loop:add_handler(pull, slow, "r")
      push:send("x")
      return function() t.loop:remove_handler(pull) end
    end,
    receiver = function(t, slow)
      local sender, receiver = t:streams("PUSH", "PULL")
      receiver:on_recv(slow)
      sender:send("x")
      return function() receiver:stop_on_recv() end
    end,
    ["periodic callback"] = function(t, slow)
      local periodic = zmqloop.PeriodicCallback(slow, 1, t.loop)
      periodic:start()
      return function() periodic:stop() end
    end,
  }
  for kind, start in pairs(KINDS) do
    it("names a slow " .. kind, async(function(t)
      local slow, is_slowest, was_called = slower_and_slower(t)
      for _ = 1, 8 do
        if not is_slowest() then
          local stop = start(t, slow)
          t:wait_until(was_called)
          stop()
        end
      end
      assert.is_true(is_slowest())
    end))
  end

  it("names the __call of a callable table", test(function(t)
    local slow, is_slowest = slower_and_slower(t)
    for _ = 1, 8 do
      if not is_slowest() then
        t.loop:add_callback(setmetatable({}, {__call = slow}))
        t.loop:step()
      end
    end
    assert.is_true(is_slowest())
  end))

  it("raises on a closed loop", test(function()
    local loop = zmqloop.IOLoop(helper.loop_options())
    loop:close()
    assert.error_matches(function() loop:stats() end, "loop is closed")
  end))
end)
