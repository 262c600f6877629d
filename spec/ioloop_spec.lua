local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local READ, WRITE, ERROR, NONE = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR, IOLoop.NONE
local test = helper.test

-- Numbers in brackets: see behaviours_spec.lua.

-- Whether events, a mask, has all bits of flag; 5.1 has no operator for it.
local function has(events, flag)
  return math.floor(events / flag) % 2 == 1
end

-- A callable table.
local function callable(fn)
  return setmetatable({}, {__call = function(_, ...) return fn(...) end})
end

local function noop() end

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("as a class", function()
    it("has the numbers of PyZMQ's and Tornado's loop", function()
      assert.equal(0, IOLoop.NONE)
      assert.equal(1, IOLoop.READ)
      assert.equal(4, IOLoop.WRITE)
      assert.equal(24, IOLoop.ERROR)
    end)

    it("is callable and has new", test(function(t)
      local loop = t:keep(IOLoop.new(helper.loop_options()))
      assert.is_false(loop:running())
      assert.equal(zmqloop.IOLoop, IOLoop)
      assert.equal(zmqloop.ZMQIOLoop, IOLoop)
    end))

    it("rejects a backend that does not exist, and options it does not know", function()
      assert.has_error(function() IOLoop{impl = "carrier pigeon"} end)
      assert.has_error(function() IOLoop{imlp = "poll"} end)
    end)

    it("has the poll backend everywhere", test(function(t)
      local loop = t:keep(IOLoop{impl = "poll"})
      local ran = false
      loop:add_callback(function() ran = true; loop:stop() end)
      loop:start()
      assert.is_true(ran)
    end))

    it("makes one instance per state, on demand [156, 157]", test(function(t)
      IOLoop.clear_current()
      local loop = t:keep(IOLoop.instance())
      assert.is_true(IOLoop.initialized())
      assert.equal(loop, IOLoop.instance())
      assert.equal(loop, IOLoop.current())
      loop:close()
      local fresh = t:keep(IOLoop.instance())
      assert.not_equal(loop, fresh)
    end))

    it("current() is the running loop, then again what it was [31, 32, 157]", test(function(t)
      IOLoop.clear_current()
      local made = t:keep(IOLoop(helper.loop_options()))
      made:make_current()
      for _ = 1, 3 do
        t.loop:add_callback(t.expect(function()
          assert.equal(t.loop, IOLoop.current())
          t.loop:stop()
        end))
        t:start()
        assert.equal(made, IOLoop.current())
      end
      IOLoop.clear_current()
      assert.not_equal(made, IOLoop.current())
    end))

    it("is not made current by being made [30]", test(function(t)
      IOLoop.clear_current()
      local first = t:keep(IOLoop(helper.loop_options()))
      assert.not_equal(first, IOLoop.current())
      first:make_current()
      t:keep(IOLoop(helper.loop_options()))
      assert.equal(first, IOLoop.current())
      assert.has_error(function() IOLoop{impl = "carrier pigeon"} end)
      assert.equal(first, IOLoop.current())
      IOLoop.clear_current()
    end))

    it("clear_current() without a current loop does nothing [33]", function()
      IOLoop.clear_current()
      IOLoop.clear_current()
    end)

    it("install() makes a loop the instance", test(function(t)
      local before = IOLoop.initialized() and IOLoop.instance()
      if before then before:close() end
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:install()
      assert.equal(loop, IOLoop.instance())
      loop:close()
      ioloop.install()
      zmqloop.install()
      t:keep(IOLoop.instance())
    end))

    it("clear_instance() forgets the instance, which stays open", test(function(t)
      local loop = t:keep(IOLoop.instance())
      IOLoop.clear_instance()
      assert.is_false(IOLoop.initialized())
      local other = t:keep(IOLoop.instance())
      assert.not_equal(loop, other)
      assert.is_false(loop:closed())
      other:close()
    end))

    it("split_fd() and close_fd() serve those who override methods", test(function(t)
      local pull, file = t:socket("PULL"), t:pipe()
      local object = {fileno = function() return 42 end}
      assert.same({7, 7}, {t.loop:split_fd(7)})
      assert.same({42, object}, {t.loop:split_fd(object)})
      assert.same({pull, pull}, {t.loop:split_fd(pull)})
      local number, same = t.loop:split_fd(file)
      assert.is_number(number)
      assert.equal(file, same)
      assert.has_error(function() t.loop:split_fd("x") end)
      t.loop:close_fd(pull)
      t.loop:close_fd(file)
      assert.is_true(pull:closed())
      assert.equal("closed file", io.type(file))
      assert.has_error(function() t.loop:close_fd(999999) end)
      local closed = 0
      local loop = IOLoop(helper.loop_options())
      function loop.close_fd() closed = closed + 1 end
      loop:add_handler(t:socket("PULL"), noop, READ)
      loop:close(true)
      assert.equal(1, closed)
    end))

    it("shows its type and state", test(function(t)
      assert.matches("^IOLoop", tostring(t.loop))
      t.loop:close()
      assert.matches("closed", tostring(t.loop))
    end))
  end)

  describe("life cycle", function()
    it("runs until stopped, and can be started again", test(function(t)
      for _ = 1, 3 do
        t.loop:add_callback(t.expect(function()
          assert.is_true(t.loop:running())
          t.loop:stop()
        end))
        assert.is_true(t:start())
        assert.is_false(t.loop:running())
      end
    end))

    it("returns at once when stopped before the start, once", test(function(t)
      t.loop:stop()
      t.loop:stop()
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t.loop:start()
      assert.equal(0, t.counters[1].calls)
      t:start()
    end))

    it("finishes the batch in which it was stopped, and keeps what comes later", test(function(t)
      local seen = {}
      t.loop:add_callback(t.expect(function()
        seen[#seen + 1] = "stop"
        t.loop:stop()
        t.loop:add_callback(t.expect(function()
          seen[#seen + 1] = "later"
          t.loop:stop()
        end))
      end))
      t.loop:add_callback(t.expect(function() seen[#seen + 1] = "same batch" end))
      t:start()
      assert.same({"stop", "same batch"}, seen)
      t:start()
      assert.same({"stop", "same batch", "later"}, seen)
    end))

    it("raises when started inside a callback of its own, and goes on [22]", test(function(t)
      for _, method in ipairs{"start", "run", "step"} do
        t.loop:add_callback(t.expect(function()
          assert.has_error(function() t.loop[method](t.loop) end, "IOLoop is already running")
        end))
      end
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
    end))

    it("may run another loop inside a callback", test(function(t)
      local inner = t:keep(IOLoop(helper.loop_options()))
      t.loop:add_callback(t.expect(function()
        inner:add_callback(t.expect(function()
          assert.equal(inner, IOLoop.current())
          inner:stop()
        end))
        inner:start()
        assert.equal(t.loop, IOLoop.current())
        t.loop:stop()
      end))
      t:start()
    end))

    it("run() returns true when nothing is left to wait for", test(function(t)
      local seen = {}
      t.loop:add_callback(t.expect(function()
        seen[#seen + 1] = "callback"
        t.loop:call_later(0.001, t.expect(function()
          seen[#seen + 1] = "timer"
          t.loop:add_callback(t.expect(function() seen[#seen + 1] = "last" end))
        end))
      end))
      assert.is_true(t.loop:run())
      assert.same({"callback", "timer", "last"}, seen)
      assert.is_true(t.loop:run())
    end))

    it("run() returns when the only handler is removed", test(function(t)
      local reader, writer = t:pipe()
      t.loop:add_handler(reader, t.expect(function()
        t.loop:remove_handler(reader)
      end), READ)
      writer:write("x")
      assert.is_true(t.loop:run())
    end))

    it("run() returns when the only timer is cancelled by a callback", test(function(t)
      local timer = t.loop:call_later(3600, t.expect(noop, 0))
      t.loop:add_callback(t.expect(function() timer:cancel() end))
      assert.is_true(t.loop:run())
    end))

    it("run() returns when its last stream is closed", test(function(t)
      local stream = t:stream("PULL")
      t:bind(stream)
      stream:on_recv(t.expect(noop, 0))
      t.loop:call_later(0.001, t.expect(function() stream:close() end))
      assert.is_true(t.loop:run())
    end))

    it("run() ends when stopped, too", test(function(t)
      t.loop:call_later(3600, t.expect(noop, 0))
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      assert.is_true(t.loop:run())
    end))

    it("is closed silently any number of times, and says so when used [61]", test(function(t)
      local loop = IOLoop(helper.loop_options())
      loop:close()
      loop:close()
      local calls = {
        start = {}, run = {}, step = {},
        call_later = {1, noop}, call_at = {1, noop}, add_timeout = {1, noop},
        add_handler = {0, noop, READ}, update_handler = {0, READ}, remove_handler = {0},
        on_error = {"raise"}, stats = {}, spawn = {noop}, run_sync = {noop},
      }
      for method, args in pairs(calls) do
        local ok, err = pcall(loop[method], loop, args[1], args[2], args[3])
        assert.is_false(ok, method)
        assert.matches("loop is closed", err, 1, true)
      end
      local socket = t:socket("PULL")
      local ok, err = pcall(zmqloop.ZMQStream, socket, loop)
      assert.is_false(ok)
      assert.matches("loop is closed", err, 1, true)
    end))

    it("forgets callbacks that are added to it when it is closed, without an error [9]",
      test(function(t)
        local loop = IOLoop(helper.loop_options())
        local before = loop:time()
        loop:close()
        loop:add_callback(t.expect(noop, 0))
        loop:spawn_callback(t.expect(noop, 0), 1)
        loop:add_callback_from_signal(t.expect(noop, 0))
        loop:stop()
        assert.is_true(loop:time() >= before)
        assert.equal(loop:time(), loop:time())
        assert.has_error(function() loop:add_callback(5) end)
      end))

    it("cannot be closed inside a callback of its own", test(function(t)
      t.loop:add_callback(t.expect(function()
        assert.has_error(function() t.loop:close() end)
        t.loop:stop()
      end))
      t:start()
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
    end))

    it("forgets on close what was pending, without a call", test(function(t)
      local loop = IOLoop(helper.loop_options())
      local reader, writer = t:pipe()
      writer:write("x")
      loop:add_callback(t.expect(noop, 0))
      loop:call_later(0, t.expect(noop, 0))
      loop:add_handler(reader, t.expect(noop, 0), READ)
      loop:close()
      assert.equal("file", io.type(reader))
    end))

    it("close(true) closes the registered files, objects and sockets as well [19]", test(function(t)
      local loop = IOLoop(helper.loop_options())
      local reader = t:pipe()
      local socket = t:socket("PULL")
      local other = t:socket("PULL")
      local closes = 0
      local object = {
        fileno = function() return other:get("fd") end,
        close = function() closes = closes + 1; other:close() end,
      }
      loop:add_handler(reader, noop, READ)
      loop:add_handler(socket, noop, READ)
      loop:add_handler(object, noop, READ)
      loop:close(true)
      assert.equal("closed file", io.type(reader))
      assert.is_true(socket:closed())
      assert.equal(1, closes)
    end))

    it("close(true) closes sockets that have handlers, though their events wait [158]",
      test(function(t)
        local loop = IOLoop(helper.loop_options())
        local pull, push = t:pair("PULL", "PUSH")
        push:send("x")
        loop:add_handler(pull, t.expect(noop, 0), READ)
        loop:add_handler(push, t.expect(noop, 0), WRITE)
        loop:close(true)
        assert.is_true(pull:closed())
        assert.is_true(push:closed())
      end))

    it("close(true) stands an object that removes its own handler", test(function(t)
      local loop = IOLoop(helper.loop_options())
      local objects = {}
      for i = 1, 3 do
        local socket = t:socket("PULL")
        objects[i] = {
          fileno = function() return socket:get("fd") end,
          close = function(self)
            pcall(loop.remove_handler, loop, self)
            self.closed = true
            socket:close()
          end,
        }
        loop:add_handler(objects[i], noop, READ)
      end
      loop:close(true)
      for i = 1, 3 do assert.is_true(objects[i].closed) end
    end))

    it("leaves no descriptor open [60]", test(function(t)
      local pid = io.open("/proc/self/stat", "r")
      if not pid then return end -- a system without /proc
      local self = pid:read("*n")
      pid:close()
      local function descriptors()
        local ls = io.popen(("ls /proc/%d/fd"):format(self))
        local count = 0
        for _ in ls:lines() do count = count + 1 end
        ls:close()
        return count
      end
      local before = descriptors()
      for _ = 1, 20 do
        local loop = IOLoop(helper.loop_options())
        loop:add_callback(t.expect(noop))
        loop:step(0)
        loop:close()
      end
      -- others of this process may come and go, not twenty
      assert.is_true(descriptors() < before + 20)
    end))
  end)

  describe("callbacks", function()
    it("run first in, first out, with their arguments, nils included [34]", test(function(t)
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

    it("added by a timer wake the loop at once [2]", test(function(t)
      t.loop:call_later(3600, t.expect(noop, 0))
      t.loop:call_later(0.001, t.expect(function()
        t.loop:add_callback(t.expect(function() t.loop:stop() end))
      end))
      t:start()
    end))

    it("may return anything, and are not called again for it [1]", test(function(t)
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

    it("calls nothing that an earlier call of it has removed [27]", test(function(t)
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

    it("of one deadline fire in the order of their starts [154]", test(function(t)
      local seen = {}
      local deadline = t.loop:time() + 0.002
      for i = 1, 100 do
        t.loop:call_at(deadline, function() seen[#seen + 1] = i end)
      end
      t:run_until(function() return #seen == 100 end)
      for i = 1, 100 do assert.equal(i, seen[i]) end
    end))

    it("of a microsecond fire [4]", test(function(t)
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

    it("get their arguments, nils included, and run in the order of their starts [15]",
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

    it("have a handle that remove_timeout accepts, however they were made [16, 17, 18]",
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

    it("cancelled by an earlier one of the same pass do not fire [14]", test(function(t)
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

    it("remove_timeout accepts fired and cancelled ones, any number of times [12]", test(function(t)
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

    it("two thousand that are cancelled leave nothing to wait for [13]", test(function(t)
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

  describe("handlers", function()
    it("get what was registered, a file, and READ exactly [11]", test(function(t)
      local reader, writer = t:pipe()
      t.loop:add_handler(reader, t.expect(function(what, events)
        assert.equal(reader, what)
        assert.equal(READ, events)
        assert.equal("x", reader:read(1))
        t.loop:stop()
      end), READ)
      t.loop:call_later(0.001, t.expect(function() writer:write("x") end))
      t:start()
    end))

    it("take an object with fileno(), getfd() or pollfd()", test(function(t)
      for _, method in ipairs{"fileno", "getfd", "pollfd"} do
        local pull, push = t:pair("PULL", "PUSH")
        local object = {[method] = function() return pull:get("fd") end}
        pull:get("events")
        t.loop:add_handler(object, t.expect(function(what, events)
          assert.equal(object, what)
          assert.is_true(has(events, READ))
          t.loop:remove_handler(object)
          t.loop:stop()
        end), READ)
        assert.is_true(push:send("x"))
        t:start()
      end
    end))

    it("take a number, and give the number back", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      pull:get("events")
      local fd = pull:get("fd")
      t.loop:add_handler(fd, t.expect(function(what, events)
        assert.equal(fd, what)
        assert.equal(READ, events)
        t.loop:remove_handler(fd)
        t.loop:stop()
      end), READ)
      assert.is_true(push:send("x"))
      t:start()
    end))

    it("get the object, then the number, under which one descriptor was registered [20]",
      test(function(t)
        local reader, writer = t:pipe()
        local pull, push = t:pair("PULL", "PUSH")
        pull:get("events")
        local fd = pull:get("fd")
        local object = {fileno = function() return fd end}
        local seen = {}
        local function note(what) seen[#seen + 1] = what end
        push:send("x")
        for _, what in ipairs{object, fd} do
          t.loop:add_handler(what, t.expect(note), READ)
          t.loop:step(1)
          t.loop:remove_handler(what)
        end
        writer:write("x")
        t.loop:add_handler(reader, t.expect(note), READ)
        t.loop:step(1)
        t.loop:remove_handler(reader)
        assert.equal(3, #seen)
        assert.equal(object, seen[1])
        assert.equal(fd, seen[2])
        assert.equal(reader, seen[3])
      end))

    it("take a socket of zmqloop.zmq, level-triggered", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      local seen = {}
      t.loop:add_handler(pull, t.expect(function(what, events)
        assert.equal(pull, what)
        assert.equal(READ, events)
        seen[#seen + 1] = what:recv()
        if #seen == 3 then t.loop:stop() end
      end, 3), READ)
      for i = 1, 3 do push:send(tostring(i)) end
      t:start()
      assert.same({"1", "2", "3"}, seen)
    end))

    it("take masks as words", test(function(t)
      local reader, writer = t:pipe()
      local seen = {}
      t.loop:add_handler(reader, t.expect(function(_, events)
        seen[#seen + 1] = events
        if events == WRITE then
          t.loop:update_handler(reader, "rw")
          writer:write("x")
        else
          t.loop:stop()
        end
      end, 2), "w")
      t:start()
      assert.same({WRITE, READ + WRITE}, seen)
      assert.has_error(function() t.loop:update_handler(reader, "x") end)
      t.loop:update_handler(reader, "r")
    end))

    it("are called again and again as long as the descriptor is ready", test(function(t)
      local reader, writer = t:pipe()
      writer:write("x")
      t.loop:add_handler(reader, t.expect(noop, 3), READ)
      for _ = 1, 3 do t.loop:step(1) end
      t.loop:remove_handler(reader)
    end))

    it("hear of a hang-up without having asked", test(function(t)
      local pipe = t:keep(io.popen("true", "r"))
      t.loop:add_handler(pipe, t.expect(function(what, events)
        assert.equal(pipe, what)
        assert.is_true(has(events, 0x010) or has(events, 0x008))
        t.loop:remove_handler(pipe)
        t.loop:stop()
      end), NONE)
      t:start()
      assert.equal(24, ERROR)
    end))

    it("are silent with NONE until asked for more", test(function(t)
      local reader, writer = t:pipe()
      writer:write("x")
      local handler = t.expect(function() t.loop:stop() end)
      t.loop:add_handler(reader, handler, NONE)
      t.loop:step(0)
      t.loop:step(0.005)
      assert.equal(0, t.counters[1].calls)
      t.loop:update_handler(reader, READ)
      t:start()
    end))

    it("cannot be registered twice for one descriptor, whatever its shape [5, 21]", test(function(t)
      local pull = t:socket("PULL")
      local fd = pull:get("fd")
      local object = {fileno = function() return fd end}
      t.loop:add_handler(object, noop, READ)
      assert.has_error(function() t.loop:add_handler(object, noop, READ) end)
      assert.has_error(function() t.loop:add_handler(fd, noop, READ) end)
      assert.has_error(function()
        t.loop:add_handler({fileno = function() return fd end}, noop, READ)
      end)
      t.loop:remove_handler(object)
      t.loop:add_handler(fd, noop, READ)
      assert.has_error(function() t.loop:add_handler(object, noop, READ) end)
      t.loop:remove_handler(fd)

      t.loop:add_handler(pull, noop, READ)
      assert.has_error(function() t.loop:add_handler(pull, noop, READ) end)
      assert.has_error(function() zmqloop.ZMQStream(pull, t.loop) end)
      t.loop:remove_handler(pull)
    end))

    it("that were never added are removed without a word [6]", test(function(t)
      local reader = t:pipe()
      t.loop:remove_handler(reader)
      t.loop:remove_handler(12345)
      t.loop:remove_handler(t:socket("PULL"))
      t.loop:add_handler(reader, noop, READ)
      t.loop:remove_handler(reader)
      t.loop:remove_handler(reader)
    end))

    it("that were never added cannot be updated", test(function(t)
      local reader = t:pipe()
      assert.has_error(function() t.loop:update_handler(reader, READ) end)
      assert.has_error(function() t.loop:update_handler(t:socket("PULL"), READ) end)
    end))

    it("removed are not called, though their event is pending", test(function(t)
      local reader, writer = t:pipe()
      t.loop:add_handler(reader, t.expect(noop, 0), READ)
      writer:write("x")
      t.loop:remove_handler(reader)
      t:settle()
    end))

    it("removing the only handler inside itself and adding it again is ordinary", test(function(t)
      local reader, writer = t:pipe()
      writer:write("x")
      local times = 0
      local handler
      handler = t.expect(function()
        times = times + 1
        t.loop:remove_handler(reader)
        if times < 3 then
          t.loop:add_handler(reader, handler, READ)
        else
          t.loop:stop()
        end
      end, 3)
      t.loop:add_handler(reader, handler, READ)
      t:start()
    end))

    it("can be removed after their file was closed", test(function(t)
      local reader = t:pipe()
      t.loop:add_handler(reader, t.expect(noop, 0), READ)
      reader:close()
      t.loop:remove_handler(reader)
      t:settle()
    end))

    it("of a closed file do not reach the next one with the same number", test(function(t)
      local old = t:pipe()
      t.loop:add_handler(old, t.expect(noop, 0), READ)
      old:close()
      local seen = {}
      for i = 1, 3 do
        local reader, writer = t:pipe() -- one of them has the number of the closed one
        local ok = pcall(t.loop.add_handler, t.loop, reader, function()
          seen[#seen + 1] = reader:read(1)
        end, READ)
        if not ok then
          t.loop:remove_handler(old)
          t.loop:add_handler(reader, function() seen[#seen + 1] = reader:read(1) end, READ)
        end
        writer:write(tostring(i))
      end
      t:run_until(function() return #seen == 3 end)
      t:settle()
      table.sort(seen)
      assert.same({"1", "2", "3"}, seen)
    end))

    it("that remove another ready socket are called once each, the other never", test(function(t)
      local sockets, calls = {}, 0
      for i = 1, 4 do
        local pull, push = t:pair("PULL", "PUSH")
        push:send("x")
        sockets[i] = pull
        t.loop:add_handler(pull, function(what)
          calls = calls + 1
          assert.equal("x", what:recv(require("zmqloop.zmq").DONTWAIT))
          for _, other in ipairs(sockets) do
            if other ~= what then t.loop:remove_handler(other) end
          end
        end, READ)
      end
      t:run_until(function() return calls > 0 end)
      t:settle()
      assert.equal(1, calls)
    end))

    it("of sockets are not touched by removing descriptor 0", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      t.loop:add_handler(pull, t.expect(function(what)
        what:recv()
        t.loop:stop()
      end), READ)
      t.loop:remove_handler(0)
      push:send("x")
      t:start()
    end))

    it("may close their own socket, and that of another", test(function(t)
      local a, push_a = t:pair("PULL", "PUSH")
      local b, push_b = t:pair("PULL", "PUSH")
      local calls = 0
      local function close_both()
        calls = calls + 1
        a:close()
        b:close()
      end
      t.loop:add_handler(a, close_both, READ)
      t.loop:add_handler(b, close_both, READ)
      push_a:send("x")
      push_b:send("x")
      t:run_until(function() return calls > 0 end)
      t:settle()
      assert.equal(1, calls)
      t.loop:remove_handler(a)
      assert.is_true(t.loop:run())
    end))

    it("of a socket that was closed are let go", test(function(t)
      local weak = setmetatable({}, {__mode = "k"})
      helper.apart(function()
        local socket = t.ctx:socket("PULL")
        local function handler() return socket end
        weak[handler], weak[socket] = true, true
        t.loop:add_handler(socket, handler, READ)
        socket:close()
      end)
      for _ = 1, 3 do collectgarbage() end
      assert.is_nil(next(weak))
      assert.is_true(t.loop:run())
    end))

    it("all get their turn, though one is always ready", test(function(t)
      local greedy, feed = t:pipe()
      feed:write("x")
      local others = 0
      t.loop:add_handler(greedy, noop, READ)
      for _ = 1, 5 do
        local reader, writer = t:pipe()
        writer:write("x")
        t.loop:add_handler(reader, t.expect(function()
          others = others + 1
          t.loop:remove_handler(reader)
        end), READ)
      end
      t:run_until(function() return others == 5 end)
    end))

    it("reject what is no descriptor", test(function(t)
      local reader = t:pipe()
      for _, bad in ipairs{"x", {}, true, noop} do
        assert.has_error(function() t.loop:add_handler(bad, noop, READ) end)
      end
      assert.has_error(function() t.loop:add_handler(nil, noop, READ) end)
      assert.has_error(function() t.loop:add_handler(1.5, noop, READ) end)
      assert.has_error(function() t.loop:add_handler(reader, noop, {}) end)
      assert.has_error(function() t.loop:add_handler(reader, noop, 2) end)
      local object = {fileno = function() return "x" end}
      assert.has_error(function() t.loop:add_handler(object, noop, READ) end)
      reader:close()
      assert.has_error(function() t.loop:add_handler(reader, noop, READ) end)
    end))

    it("answer a descriptor that is not open with EBADF", test(function(t)
      local ok, result, _, name = pcall(t.loop.add_handler, t.loop, 999999, noop, READ)
      if ok then
        assert.is_nil(result)
        assert.equal("EBADF", name)
      else
        assert.matches("EBADF", result, 1, true)
      end
    end))

    it("keep their object alive while registered, and let it go then", test(function(t)
      local weak = setmetatable({}, {__mode = "k"})
      local pull = t:socket("PULL")
      local fd = pull:get("fd")
      helper.apart(function()
        local object = {fileno = function() return fd end}
        weak[object] = true
        t.loop:add_handler(object, noop, READ)
      end)
      collectgarbage()
      assert.is_not_nil(next(weak))
      t.loop:remove_handler(next(weak))
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
    end))
  end)

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

  describe("errors in callbacks", function()
    it("go to handle_callback_exception, overridden per loop [10]", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local seen = {}
      function loop.handle_callback_exception(self, fn, err, traceback)
        seen[#seen + 1] = {self = self, fn = fn, err = err, traceback = traceback}
      end
      local function bad_callback() error("callback failed") end
      local problem = setmetatable({}, {__tostring = function() return "an object" end})
      local function bad_timer() error(problem) end
      local reader, writer = t:pipe()
      writer:write("x")
      local function bad_handler()
        loop:remove_handler(reader)
        error("handler failed", 0)
      end
      loop:add_callback(bad_callback)
      loop:call_later(0, bad_timer)
      loop:add_handler(reader, bad_handler, READ)
      loop:call_later(0.01, t.expect(function() loop:stop() end))
      loop:start()

      assert.equal(3, #seen)
      for _, report in ipairs(seen) do
        assert.equal(loop, report.self)
        assert.matches("stack traceback", report.traceback)
        if report.fn == bad_callback then
          assert.matches("callback failed", report.err)
          assert.matches("ioloop_spec.lua", report.traceback, 1, true)
        elseif report.fn == bad_timer then
          assert.equal(problem, report.err)
        else
          assert.equal(bad_handler, report.fn)
          assert.equal("handler failed", report.err)
        end
      end
    end))

    it("go to on_error(fn) with callback, error and traceback", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local function bad() error("oh", 0) end
      loop:on_error(t.expect(function(callback, err, traceback)
        assert.equal("oh", err)
        assert.matches("stack traceback", traceback)
        assert.equal(bad, callback)
      end))
      loop:add_callback(bad)
      loop:add_callback(t.expect(function() loop:stop() end))
      loop:start()
    end))

    it("may have any value, nil included", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local seen = {}
      loop:on_error(function(...) seen[#seen + 1] = select(2, ...) == helper.nil_error end)
      loop:add_callback(function() error() end)
      loop:add_callback(function() error(nil) end)
      loop:add_callback(function() error(false) end)
      loop:add_callback(function() error({}) end)
      loop:add_callback(function() loop:stop() end)
      loop:start()
      assert.same({true, true, false, false}, seen)
    end))

    it('on_error("raise") raises the first one and loses none of the rest', test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      for _, method in ipairs{"start", "run", "step"} do
        local seen = {}
        loop:add_callback(function() seen[#seen + 1] = 1 end)
        loop:add_callback(function() error("first", 0) end)
        loop:add_callback(function() seen[#seen + 1] = 2 end)
        loop:add_callback(function() loop:stop() end)
        assert.has_error(function() loop[method](loop) end, "first")
        assert.is_false(loop:running())
        loop:start()
        assert.same({1, 2}, seen)
      end
    end))

    it('on_error("raise") keeps an error that is no string', test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      local problem = {}
      loop:add_callback(function() error(problem) end)
      local ok, err = pcall(loop.start, loop)
      assert.is_false(ok)
      assert.equal(problem, err)
    end))

    it("on_error(nil) goes back to handle_callback_exception", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      loop:on_error(nil)
      loop.handle_callback_exception = t.expect(function() loop:stop() end)
      loop:add_callback(function() error("x") end)
      loop:start()
      assert.has_error(function() loop:on_error("shout") end)
      assert.has_error(function() loop:on_error(1) end)
    end))

    it("of the error handler itself come out of start(), which then goes on", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error(function() error("handler failed", 0) end)
      loop:add_callback(function() error("callback failed", 0) end)
      loop:add_callback(t.expect(function() loop:stop() end))
      assert.has_error(function() loop:start() end, "handler failed")
      assert.equal(0, t.counters[1].calls)
      loop:start()
    end))

    it("are written to stderr by default, with the traceback [23]", test(function(t)
      local output, status = t:run_child([[
        local loop = new_loop()
        local function broken() error("my message") end
        loop:add_callback(broken)
        loop:add_callback(function() loop:stop() end)
        loop:start()
      ]])
      assert.equal(0, status, output)
      assert.matches("Exception in callback", output)
      assert.matches("my message", output)
      assert.matches("stack traceback", output)
    end))

    it("are the same whichever method added the callback [26]", test(function(t)
      t:expect_errors()
      for _, method in ipairs{"add_callback", "spawn_callback", "add_callback_from_signal"} do
        t.loop[method](t.loop, error, method, 0)
      end
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
      assert.same({"add_callback", "spawn_callback", "add_callback_from_signal"}, t.errors)
    end))

    it("in a stack overflow reach the handler as well", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error(t.expect(function(_, err)
        assert.matches("overflow", tostring(err))
      end))
      local function deep() return 1 + deep() end
      loop:add_callback(deep)
      loop:add_callback(t.expect(function() loop:stop() end))
      loop:start()
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
