-- One iteration at a time, for a program that has a loop of its own.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test

local function noop() end

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("step", function()
    it("does what is due and says how much, without waiting", test(function(t)
      t.loop:add_callback(t.expect(noop))
      t.loop:add_callback(t.expect(noop))
      local handled, more = t.loop:step()
      assert.equal(2, handled)
      assert.is_false(more)
      handled, more = t.loop:step(0)
      assert.equal(0, handled)
      assert.is_false(more)
    end))

    it("waits until there is something to do", test(function(t)
      t.loop:call_later(0.005, t.expect(noop))
      local before, handled = t.loop:time(), 0
      while handled == 0 do handled = t.loop:step(10) end
      assert.equal(1, handled)
      assert.is_true(t.loop:time() - before >= 0.005)
    end))

    it("waits no shorter than its timeout when nothing happens", test(function(t)
      local before = t.loop:time()
      local handled, more = t.loop:step(0.01)
      assert.equal(0, handled)
      assert.is_false(more)
      assert.is_true(t.loop:time() - before >= 0.01)
    end))

    it("keeps to a budget of events; the rest waits, in order", test(function(t)
      local seen = {}
      for i = 1, 10 do
        t.loop:add_callback(function() seen[#seen + 1] = i end)
      end
      local handled, more = t.loop:step(0, {events = 3})
      assert.equal(3, handled)
      assert.is_true(more)
      assert.same({1, 2, 3}, seen)
      handled, more = t.loop:step(0, {events = 7})
      assert.equal(7, handled)
      assert.same({1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, seen)
      while more do handled, more = t.loop:step(0, {events = 7}) end
      assert.equal(10, #seen)
      assert.is_number(handled)
    end))

    it("keeps to a budget of time, and to one over timers too", test(function(t)
      local seen = {}
      local now = t.loop:time()
      for i = 1, 5 do
        t.loop:call_at(now, function()
          seen[#seen + 1] = i
          local busy = t.loop:time() + 0.002
          while t.loop:time() < busy do noop() end
        end)
      end
      local handled, more = t.loop:step(0, {seconds = 0.001})
      assert.equal(1, handled)
      assert.is_true(more)
      while more do
        handled, more = t.loop:step(0, {events = 1})
        assert.is_true(handled <= 1)
      end
      assert.same({1, 2, 3, 4, 5}, seen)
    end))

    it("with a budget goes on until nothing is pending", test(function(t)
      local out, into = t:streams("PUSH", "PULL")
      into:set_batch(10)
      local received = 0
      into:on_recv(function() received = received + 1 end)
      t:settle()
      for _ = 1, 900 do assert(out:send("x")) end
      local handled, more = t.loop:step(0, {seconds = 600})
      assert.equal(900, received)
      assert.is_true(handled >= 900)
      assert.is_false(more)
    end))

    it("with a budget lets tasks hand over to each other", test(function(t)
      local queue, sum = zmqloop.Queue(1), 0
      t.loop:spawn(function()
        for _ = 1, 100 do sum = sum + queue:get() end
      end)
      t.loop:spawn(function()
        for i = 1, 100 do queue:put(i) end
      end)
      local _, more = t.loop:step(0, {seconds = 600})
      assert.equal(5050, sum)
      assert.is_false(more)
    end))

    it("with a budget does not wait a second time", test(function(t)
      local called = {}
      local function again()
        called[#called + 1] = t.loop:time()
        t.loop:call_later(0.01, again)
      end
      again()
      t.loop:step(600, {seconds = 600})
      assert.equal(2, #called)
    end))

    it("with a budget ends with it, in the middle of what never ends", test(function(t)
      local calls = 0
      local function again()
        calls = calls + 1
        t.loop:add_callback(again)
      end
      again()
      local handled, more = t.loop:step(0, {events = 500})
      assert.equal(500, handled)
      assert.equal(501, calls)
      assert.is_true(more)
      t.loop:step(0, {seconds = 0.001})
      assert.is_true(calls > 501)
    end))

    it("a timer cancelled between two steps of one pass does not fire", test(function(t)
      local now = t.loop:time()
      t.loop:call_at(now, t.expect(noop))
      local victim = t.loop:call_at(now, t.expect(noop, 0))
      local handled, more = t.loop:step(0, {events = 1})
      assert.equal(1, handled)
      assert.is_true(more)
      victim:cancel()
      t:settle()
    end))

    it("start() goes on where a step stopped", test(function(t)
      local seen = {}
      for i = 1, 4 do
        t.loop:add_callback(function() seen[#seen + 1] = i end)
      end
      t.loop:step(0, {events = 2})
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
      assert.same({1, 2, 3, 4}, seen)
    end))

    it("rejects what is no budget", test(function(t)
      assert.has_error(function() t.loop:step("x") end)
      assert.has_error(function() t.loop:step(0, 1) end)
      assert.has_error(function() t.loop:step(0, {event = 1}) end)
      assert.has_error(function() t.loop:step(0, {events = "many"}) end)
      assert.has_error(function() t.loop:step(0, {events = -1}) end)
    end))
  end)
end)
