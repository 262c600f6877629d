-- What is called in the next iteration, and the order of one iteration.
local helper = require("spec.helper")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local READ = IOLoop.READ
local test = helper.test

-- A callable table.
local function callable(fn)
  return setmetatable({}, {__call = function(_, ...) return fn(...) end})
end

local function noop() end

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("callbacks", function()
    it("run first in, first out, with their arguments, nils included", test(function(t)
      local seen = {}
      local function note(...) seen[#seen + 1] = helper.pack(...) end
      t.loop:add_callback(t.expect(note))
      t.loop:add_callback(t.expect(note), nil)
      t.loop:spawn_callback(t.expect(note), nil, 1, nil)
      t.loop:add_callback_from_signal(t.expect(note), "a", nil, nil)
      t.loop:add_callback(t.loop.stop, t.loop)
      t:start()
      assert.same({{n = 0}, {n = 1}, {n = 3, nil, 1, nil}, {n = 3, "a"}}, seen)
    end))

    it("may be callable tables", test(function(t)
      t.loop:add_callback(callable(t.expect(function(value)
        assert.equal("x", value)
        t.loop:stop()
      end)), "x")
      t:start()
    end))

    it("added by a callback run in the next iteration", test(function(t)
      local seen = {}
      t.loop:add_callback(t.expect(function()
        seen[#seen + 1] = "first"
        t.loop:add_callback(t.expect(function() seen[#seen + 1] = "third" end))
      end))
      t.loop:add_callback(t.expect(function() seen[#seen + 1] = "second" end))
      t.loop:step(0)
      assert.same({"first", "second"}, seen)
      t.loop:step(0)
      assert.same({"first", "second", "third"}, seen)
    end))

    it("that add themselves for ever starve neither timers nor handlers", test(function(t)
      local reader, writer = t:pipe()
      local timer, handler = false, false
      local function again() t.loop:add_callback(again) end
      again()
      t.loop:call_later(0.001, t.expect(function() timer = true end))
      t.loop:add_handler(reader, t.expect(function()
        handler = true
        t.loop:remove_handler(reader)
      end), READ)
      writer:write("x")
      t:run_until(function() return timer and handler end)
    end))

    it("added by a timer wake the loop at once", test(function(t)
      t.loop:call_later(3600, t.expect(noop, 0))
      t.loop:call_later(0.001, t.expect(function()
        t.loop:add_callback(t.expect(function() t.loop:stop() end))
      end))
      t:start()
    end))

    it("may return anything, and are not called again for it", test(function(t)
      local added = 0
      function t.loop:add_callback(...)
        added = added + 1
        return IOLoop.add_callback(self, ...)
      end
      for _, value in ipairs{{}, false, 0, "x"} do
        t.loop:add_callback(t.expect(function() return value end))
      end
      local timer = t.loop:call_later(0, t.expect(function() return {} end))
      t:run_until(function() return not timer:active() end)
      local handled, more = t.loop:step(0)
      assert.equal(0, handled)
      assert.is_false(more)
      assert.equal(4, added)
    end))

    it("are let go once they have run", test(function(t)
      local weak = setmetatable({}, {__mode = "k"})
      helper.apart(function()
        local argument = {}
        weak[argument] = true
        t.loop:add_callback(function(_) end, argument)
      end)
      collectgarbage()
      assert.is_not_nil(next(weak))
      t.loop:step(0)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end))

    it("ten thousand of them run in order", test(function(t)
      local seen = 0
      for i = 1, 10000 do
        t.loop:add_callback(function(n)
          assert(n == seen + 1)
          seen = n
        end, i)
      end
      t:run_until(function() return seen == 10000 end)
    end))

    it("that cannot be called raise at once", test(function(t)
      for _, bad in ipairs{1, "x", {}, true} do
        for _, method in ipairs{"add_callback", "spawn_callback", "add_callback_from_signal"} do
          assert.has_error(function() t.loop[method](t.loop, bad) end)
        end
        assert.has_error(function() t.loop:call_later(1, bad) end)
        assert.has_error(function() t.loop:call_at(1, bad) end)
        assert.has_error(function() t.loop:add_timeout(1, bad) end)
        assert.has_error(function() t.loop:add_handler(t:pipe(), bad, READ) end)
      end
      assert.has_error(function() t.loop:add_callback() end)
      assert.has_error(function() t.loop:add_callback(nil) end)
      t:settle()
    end))

    it("misuse names the argument and the method", test(function(t)
      local ok, err = pcall(t.loop.add_callback, t.loop, 1)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'add_callback'", err, 1, true)
      ok, err = pcall(t.loop.call_later, t.loop, "soon", noop)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'call_later'", err, 1, true)
      ok, err = pcall(t.loop.call_later, t.loop, 1, 2)
      assert.is_false(ok)
      assert.matches("bad argument #2 to 'call_later'", err, 1, true)
    end))
  end)

  describe("one iteration", function()
    it("runs callbacks, then due timers by deadline, then handlers", test(function(t)
      local seen = {}
      local function note(what) seen[#seen + 1] = what end
      local reader, writer = t:pipe()
      writer:write("x")
      t.loop:add_handler(reader, t.expect(function()
        note("fd")
        t.loop:remove_handler(reader)
        t.loop:stop()
      end), READ)
      local now = t.loop:time()
      t.loop:call_at(now, t.expect(note), "t0")
      t.loop:call_at(now, t.expect(note), "t1")
      t.loop:call_at(now - 10, t.expect(note), "past")
      t.loop:add_callback(t.expect(note), "c0")
      t.loop:add_callback(t.expect(note), "c1")
      t:start()
      assert.same({"c0", "c1", "past", "t0", "t1", "fd"}, seen)
    end))

    it("calls nothing that an earlier call of it has removed", test(function(t)
      local first_reader, first_writer = t:pipe()
      local second_reader, second_writer = t:pipe()
      local calls = 0
      local function handler(mine, other)
        return function()
          calls = calls + 1
          mine:read(1)
          t.loop:remove_handler(other)
        end
      end
      t.loop:add_handler(first_reader, handler(first_reader, second_reader), READ)
      t.loop:add_handler(second_reader, handler(second_reader, first_reader), READ)
      first_writer:write("x")
      second_writer:write("x")
      t:run_until(function() return calls > 0 end)
      t:settle()
      assert.equal(1, calls)
    end))
  end)

  describe("with nothing but callbacks, each of which queues the next", function()
    -- Calls step() until it returns true.
    local function chain(t, step)
      local function again()
        if step() then t.loop:stop() else t.loop:add_callback(again) end
      end
      t.loop:add_callback(again)
      t.loop:start()
    end

    it("makes each an iteration", test(function(t)
      local before, n = t.loop:stats().iterations, 0
      chain(t, function()
        n = n + 1
        assert.equal(before + n, t.loop:stats().iterations)
        return n == 100
      end)
      assert.equal(100, n)
    end))

    it("lets timers in, and messages", test(function(t)
      local n, timer_at, message_at = 0, nil, nil
      local pull, push
      chain(t, function()
        n = n + 1
        if n == 100 then
          t.loop:call_later(0, function() timer_at = n end)
        elseif n == 200 then
          pull, push = t:streams("PULL", "PUSH")
          pull:on_recv(function() message_at = n end)
          push:send("x")
        end
        return n > 300 and message_at
      end)
      assert.is_true(timer_at == 100 or timer_at == 101)
      assert.is_true(message_at >= 200)
    end))

    it("can be stopped, left by an error, and gone on with", test(function(t)
      local n = 0
      chain(t, function()
        n = n + 1
        return n == 10
      end)
      t.loop:on_error("raise")
      t.loop:add_callback(function() t.loop:add_callback(error, "enough") end)
      helper.raises("enough", t.loop.start, t.loop)
      chain(t, function()
        n = n + 1
        return n == 20
      end)
      assert.equal(20, n)
    end))
  end)

  describe("with coroutines", function()
    it("runs inside one, and calls back in another", test(function(t)
      local seen
      local co = coroutine.wrap(function()
        t.loop:add_callback(t.expect(function()
          seen = coroutine.running()
          t.loop:stop()
        end))
        t.loop:start()
        return coroutine.running()
      end)
      assert.not_equal(co(), seen)
    end))

    it("outlives the coroutine that registered a callback", test(function(t)
      local done = false
      coroutine.wrap(function()
        t.loop:call_later(0.001, t.expect(function() done = true end))
      end)()
      collectgarbage()
      t:run_until(function() return done end)
    end))
  end)
end)
