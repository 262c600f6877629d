-- What is called when a descriptor or a socket is ready.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local READ, WRITE, ERROR, NONE = IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR, IOLoop.NONE
local test = helper.test

-- Whether events, a mask, has all bits of flag; 5.1 has no operator for it.
local function has(events, flag)
  return math.floor(events / flag) % 2 == 1
end

local function noop() end

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("handlers", function()
    it("get what was registered, a file, and READ exactly", test(function(t)
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

    it("get the object, then the number, under which one descriptor was registered",
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

    it("cannot be registered twice for one descriptor, whatever its shape", test(function(t)
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

    it("that were never added are removed without a word", test(function(t)
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
end)
