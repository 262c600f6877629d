-- What is called at a time.
local helper = require("spec.helper")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local test = helper.test

local function noop() end

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("timers", function()
    it("fire by deadline, not by creation", test(function(t)
      local seen = {}
      local now = t.loop:time()
      for _, ms in ipairs{3, 1, 2} do
        t.loop:call_at(now + ms / 1000, t.expect(function() seen[#seen + 1] = ms end))
      end
      t:run_until(function() return #seen == 3 end)
      assert.same({1, 2, 3}, seen)
    end))

    it("of one deadline fire in the order of their starts", test(function(t)
      local seen = {}
      local deadline = t.loop:time() + 0.002
      for i = 1, 100 do
        t.loop:call_at(deadline, function() seen[#seen + 1] = i end)
      end
      t:run_until(function() return #seen == 100 end)
      for i = 1, 100 do assert.equal(i, seen[i]) end
    end))

    it("of a microsecond fire", test(function(t)
      t.loop:call_later(1e-6, t.expect(function() t.loop:stop() end))
      t:start()
    end))

    it("are never early", test(function(t)
      local left = 0
      for _, delay in ipairs{0, 0.0001, 0.0005, 0.001, 0.0015, 0.002, 0.0105, 0.02} do
        left = left + 1
        local deadline = t.loop:time() + delay
        t.loop:call_later(delay, t.expect(function()
          left = left - 1
          assert.is_true(t.loop:time() >= deadline)
        end))
      end
      t:run_until(function() return left == 0 end)
    end))

    it("count a delay from the call, however long the callback has run", test(function(t)
      t.loop:add_callback(t.expect(function()
        local busy = t.loop:time() + 0.01
        while t.loop:time() < busy do noop() end
        local start = t.loop:time()
        t.loop:call_later(0.005, t.expect(function()
          assert.is_true(t.loop:time() >= start + 0.005)
          t.loop:stop()
        end))
      end))
      t:start()
    end))

    it("get their arguments, nils included, and run in the order of their starts",
      test(function(t)
        local seen = {}
        local function note(...) seen[#seen + 1] = helper.pack(...) end
        local now = t.loop:time()
        t.loop:add_timeout(now, t.expect(note), 1, nil)
        t.loop:add_timeout(now, t.expect(note), 2)
        t.loop:call_at(t.loop:time(), t.expect(note), nil, 3)
        t.loop:call_later(0, t.expect(note))
        t:run_until(function() return #seen == 4 end)
        assert.same({{n = 2, 1}, {n = 1, 2}, {n = 2, nil, 3}, {n = 0}}, seen)
      end))

    it("have a handle that remove_timeout accepts, however they were made",
      test(function(t)
        local now = t.loop:time()
        local handles = {
          t.loop:add_timeout(now + 3600, t.expect(noop, 0)),
          t.loop:call_at(now + 3600, t.expect(noop, 0)),
          t.loop:call_later(3600, t.expect(noop, 0)),
        }
        assert.equal(3, #handles)
        for _, handle in ipairs(handles) do
          t.loop:remove_timeout(handle)
          assert.is_false(handle:active())
        end
        assert.is_true(t.loop:run()) -- nothing is left to wait for
      end))

    it("with a deadline in the past or a negative delay fire at the next pass", test(function(t)
      local left = 2
      local function done() left = left - 1 end
      t.loop:call_later(-1, t.expect(done))
      t.loop:add_timeout(t.loop:time() - 100, t.expect(done))
      t:run_until(function() return left == 0 end)
    end))

    it("started by a timer wait for the next pass, even when due", test(function(t)
      local seen = {}
      t.loop:call_later(0, t.expect(function()
        seen[#seen + 1] = "first"
        t.loop:call_at(t.loop:time() - 10, t.expect(function() seen[#seen + 1] = "third" end))
      end))
      t.loop:call_later(0, t.expect(function() seen[#seen + 1] = "second" end))
      local busy = t.loop:time() + 0.001
      while t.loop:time() < busy do noop() end
      t:run_until(function() return #seen == 3 end)
      assert.same({"first", "second", "third"}, seen)
    end))

    it("cancelled by an earlier one of the same pass do not fire", test(function(t)
      local now = t.loop:time()
      local victims = {}
      t.loop:call_at(now + 0.001, t.expect(function()
        t.loop:remove_timeout(victims[1])
        victims[2]:cancel()
      end))
      victims[1] = t.loop:call_at(now + 0.002, t.expect(noop, 0))
      victims[2] = t.loop:call_at(now + 0.002, t.expect(noop, 0))
      t.loop:call_at(now + 0.003, t.expect(function() t.loop:stop() end))
      while t.loop:time() < now + 0.01 do noop() end
      t:start()
    end))

    it("cancelled by a callback of the same iteration do not fire", test(function(t)
      local timer = t.loop:call_later(0, t.expect(noop, 0))
      t.loop:add_callback(t.expect(function() timer:cancel() end))
      local busy = t.loop:time() + 0.001
      while t.loop:time() < busy do noop() end
      t:settle()
    end))

    it("remove_timeout accepts fired and cancelled ones, any number of times", test(function(t)
      local fired = t.loop:call_later(0, t.expect(noop))
      local cancelled = t.loop:call_later(3600, t.expect(noop, 0))
      t:run_until(function() return not fired:active() end)
      for _ = 1, 3 do
        t.loop:remove_timeout(fired)
        t.loop:remove_timeout(cancelled)
        fired:cancel()
        cancelled:cancel()
      end
    end))

    it("two thousand that are cancelled leave nothing to wait for", test(function(t)
      for _ = 1, 2000 do
        t.loop:remove_timeout(t.loop:call_later(3600, noop))
      end
      assert.is_true(t.loop:run())
    end))

    it("tell whether they are active and how long they wait", test(function(t)
      local timer = t.loop:call_later(3600, t.expect(noop, 0))
      assert.is_true(timer:active())
      local remaining = timer:remaining()
      assert.is_true(remaining > 3500 and remaining <= 3600)
      timer:cancel()
      assert.is_false(timer:active())
      assert.is_nil(timer:remaining())

      local fired
      fired = t.loop:call_later(0, t.expect(function()
        assert.is_false(fired:active())
        t.loop:stop()
      end))
      t:start()
      assert.is_false(fired:active())
      assert.is_nil(fired:remaining())
    end))

    it("again(delay) starts them anew: waiting, fired, cancelled or inside the callback",
      test(function(t)
        local times = 0
        local timer
        timer = t.loop:call_later(3600, t.expect(function(a, b)
          times = times + 1
          assert.is_nil(a)
          assert.equal("kept", b)
          if times < 3 then timer:again(0.001) end
        end, 5), nil, "kept")
        timer:again(0.001)
        t:run_until(function() return times == 3 end)
        assert.is_false(timer:active())
        timer:again(0)
        assert.is_true(timer:active())
        t:run_until(function() return times == 4 end)
        timer:again(3600)
        timer:cancel()
        timer:again(0)
        t:run_until(function() return times == 5 end)
        t:settle()
      end))

    it("moved later by again() do not fire at the old time", test(function(t)
      local start = t.loop:time()
      local timer = t.loop:call_later(0.001, t.expect(function()
        assert.is_true(t.loop:time() >= start + 0.02)
        t.loop:stop()
      end))
      timer:again(0.02)
      t:start()
    end))

    it("in any number and any order fire by deadline, cancelled ones never", test(function(t)
      local seed = 12345
      local function random(n) -- the same numbers on each Lua
        seed = (seed * 16807) % 2147483647
        return seed % n
      end
      local now, handles, expected, seen = t.loop:time(), {}, {}, {}
      for i = 1, 1000 do
        local slot = random(50)
        handles[i] = t.loop:call_at(now + slot / 10000, function() seen[#seen + 1] = i end)
        expected[i] = {slot = slot, order = i, id = i}
      end
      for i = 1, 1000 do
        local action = random(4)
        if action == 0 then
          handles[i]:cancel()
          expected[i] = false
        end
      end
      local order = {}
      for i = 1, 1000 do
        if expected[i] then order[#order + 1] = expected[i] end
      end
      table.sort(order, function(a, b)
        if a.slot ~= b.slot then return a.slot < b.slot end
        return a.order < b.order
      end)
      while t.loop:time() < now + 0.006 do noop() end
      t:run_until(function() return #seen >= #order end)
      t:settle()
      assert.equal(#order, #seen)
      for i = 1, #order do assert.equal(order[i].id, seen[i]) end
    end))

    it("reject what is no time", test(function(t)
      for _, bad in ipairs{"x", {}, true, 0 / 0} do
        assert.has_error(function() t.loop:call_later(bad, noop) end)
        assert.has_error(function() t.loop:call_at(bad, noop) end)
        assert.has_error(function() t.loop:add_timeout(bad, noop) end)
      end
      assert.has_error(function() t.loop:call_later(nil, noop) end)
      assert.has_error(function() t.loop:remove_timeout(1) end)
    end))

    it("may lie as far away as a number can", test(function(t)
      local timers = {
        t.loop:call_later(math.huge, t.expect(noop, 0)),
        t.loop:call_later(1e18, t.expect(noop, 0)),
        t.loop:call_at(1e300, t.expect(noop, 0)),
      }
      t.loop:call_later(0.001, t.expect(function() t.loop:stop() end))
      t:start()
      for _, timer in ipairs(timers) do assert.is_true(timer:active()) end
    end))

    it("whose callback failed can be started again", test(function(t)
      t:expect_errors()
      local calls = 0
      local timer = t.loop:call_later(0, function()
        calls = calls + 1
        error("oh", 0)
      end)
      t:run_until(function() return calls == 1 end)
      assert.is_false(timer:active())
      timer:again(0)
      t:run_until(function() return calls == 2 end)
      assert.same({"oh", "oh"}, t.errors)
    end))

    it("of a closed loop can be cancelled and asked", test(function(t)
      local loop = IOLoop(helper.loop_options())
      local timer = loop:call_later(3600, t.expect(noop, 0))
      loop:close()
      assert.is_false(timer:active())
      timer:cancel()
      assert.is_nil(timer:remaining())
      assert.has_error(function() timer:again(1) end, "loop is closed")
    end))

    it("show their type and state", test(function(t)
      local timer = t.loop:call_later(3600, noop)
      local waiting = tostring(timer)
      timer:cancel()
      assert.not_equal(waiting, tostring(timer))
    end))

    it("survive the collector while active, and are collected with their loop", test(function(t)
      local weak = setmetatable({}, {__mode = "v"})
      local fired = false
      weak[1] = t.loop:call_later(0.001, t.expect(function() fired = true end))
      collectgarbage()
      assert.is_not_nil(weak[1])
      t:run_until(function() return fired end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
    end))
  end)
end)
