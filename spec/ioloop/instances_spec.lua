-- Loops: how one is made, found, run, stopped and closed.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local READ, WRITE = IOLoop.READ, IOLoop.WRITE
local test = helper.test

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

    it("makes one instance per state, on demand", test(function(t)
      IOLoop.clear_current()
      local loop = t:keep(IOLoop.instance())
      assert.is_true(IOLoop.initialized())
      assert.equal(loop, IOLoop.instance())
      assert.equal(loop, IOLoop.current())
      loop:close()
      local fresh = t:keep(IOLoop.instance())
      assert.not_equal(loop, fresh)
    end))

    it("current() is the running loop, then again what it was", test(function(t)
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

    it("is not made current by being made", test(function(t)
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

    it("clear_current() without a current loop does nothing", function()
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

    it("raises when started inside a callback of its own, and goes on", test(function(t)
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

    it("is closed silently any number of times, and says so when used", test(function(t)
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

    it("forgets callbacks that are added to it when it is closed, without an error",
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

    it("close(true) closes the registered files, objects and sockets as well", test(function(t)
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

    it("close(true) closes sockets that have handlers, though their events wait",
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

    it("leaves no descriptor open", test(function(t)
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
end)
