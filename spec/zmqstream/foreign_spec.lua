-- Streams on sockets of other libraries. A socket of zmqloop stands in for one: the stream gets
-- only its handle, and does not see other uses of it.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local ZMQStream = zmqloop.ZMQStream
local test = helper.test

local function noop() end

-- An object as lzmq's sockets are. `calls` counts its close().
local function lzmq_like(socket)
  local object = {calls = 0, lingers = {}}
  function object.handle() return socket:handle() end
  function object.closed() return socket:closed() end
  function object:close(linger)
    self.calls = self.calls + 1
    self.lingers[#self.lingers + 1] = linger
    if self.before_close then self.before_close() end
    socket:close(linger)
  end
  return object
end

-- The same with lzmq's on_close(fn): fn() before the socket is closed.
local function with_on_close(object)
  function object:on_close(fn) self.before_close = fn end
  return object
end

describe("a ZMQStream on another library's socket", function()
  after_each(helper.cleanup)

  describe("given as light userdata", function()
    it("receives and sends", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local stream = t:keep(ZMQStream(a:handle(), t.loop))
      assert.equal(a:handle(), stream.socket)
      assert.equal(t.loop, stream.io_loop)
      stream:on_recv(t.expect(function(frames)
        assert.same({"to", "you"}, frames)
        assert.is_true(stream:send_multipart{"and", "back"})
        t.loop:stop()
      end))
      b:send_multipart{"to", "you"}
      t:start()
      assert.same({"and", "back"}, b:recv_multipart())
    end))

    it("has a socket's methods", test(function(t)
      local pull = t:stream("PULL")
      local endpoint = t:bind(pull)
      local socket = t:socket("PUSH")
      local stream = t:keep(ZMQStream(socket:handle(), t.loop))
      stream:send("queued before the connect")
      pull:on_recv(t.expect(function() t.loop:stop() end))
      stream:set("sndhwm", 77)
      assert.equal(77, socket:get("sndhwm"))
      assert.equal(77, stream:getsockopt("sndhwm"))
      assert.is_true(stream:connect(endpoint))
      t:start()
      assert.is_true(stream:disconnect(endpoint))
      assert.is_number(stream:bind_to_random_port("tcp://127.0.0.1"))
      local sub = t:keep(ZMQStream(t:socket("SUB"):handle(), t.loop))
      assert.is_true(sub:subscribe("topic"))
      assert.is_true(sub:unsubscribe("topic"))
    end))

    it("has no monitor: that would take its context", test(function(t)
      local socket = t:socket("PULL")
      local stream = t:keep(ZMQStream(socket:handle(), t.loop))
      helper.fails("ENOTSUP", stream:monitor(noop))
      stream:disable_monitor()
      assert.is_true(socket:monitor(noop, "all", t.loop)) -- its creator has one
      helper.fails("ENOTSUP", stream:monitor(noop, {"LISTENING"}))
    end))

    it("leaves the socket open when it is closed", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local stream = ZMQStream(a:handle(), t.loop)
      stream:on_recv(noop)
      stream:set_close_callback(t.expect(noop))
      assert.equal(0, stream:close(0))
      assert.is_false(a:closed())
      b:send("still there")
      assert.equal("still there", a:recv())
      -- and another stream may follow
      local again = t:keep(ZMQStream(a:handle(), t.loop))
      again:on_recv(t.expect(function() t.loop:stop() end))
      b:send("x")
      t:start()
    end))

    it("refuses a second stream on it, and what is no socket any more", test(function(t)
      local a = t:socket("PULL")
      local handle = a:handle()
      local stream = t:keep(ZMQStream(handle, t.loop))
      local other, message, name = ZMQStream(handle, t.loop)
      assert.is_nil(other)
      assert.matches("^EEXIST: ", message)
      assert.equal("EEXIST", name)
      stream:close()
      local ctx = zmq.Context()
      local dead = ctx:socket("PULL")
      ctx:shutdown()
      dead:poll(0)
      other, message, name = ZMQStream(dead:handle(), t.loop)
      assert.is_nil(other)
      assert.equal("ETERM", name)
      assert.is_string(message)
      dead:close()
      ctx:term()
    end))

    it("is collected without it", test(function(t)
      local a = t:socket("PULL")
      local weak = setmetatable({}, {__mode = "v"})
      helper.apart(function() weak[1] = ZMQStream(a:handle(), t.loop) end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
      assert.is_false(a:closed())
      a:poll(0)
    end))
  end)

  describe("used by that library too", function()
    it("loses no wake-up to its receives, sends and questions", test(function(t)
      local a, b = t:pair("PAIR", "PAIR", "tcp")
      local trigger, push = t:streams("PULL", "PUSH")
      local stream = t:keep(ZMQStream(a:handle(), t.loop))
      local received = 0
      stream:on_recv(function() received = received + 1 end)
      local acts = {
        function() a:get("events") end,
        function() a:send("x") end,
        function() a:poll(0) end,
        function()
          if a:recv(zmq.DONTWAIT) then received = received + 1 end
        end,
      }
      trigger:on_recv(function(frames)
        b:send("message")
        a:poll(20) -- it is there, and its signal read away
        acts[tonumber(frames[1])]()
      end)
      local rounds = 0
      for _ = 1, 5 do
        for act = 1, #acts do
          rounds = rounds + 1
          push:send(tostring(act))
          t:run_until(function() return received == rounds end)
        end
      end
    end))

    it("a REP that it answers gets the next request", test(function(t)
      local REQUESTS = 5
      local rep = t:socket("REP")
      local endpoint = t:bind(rep)
      local stream = t:keep(ZMQStream(rep:handle(), t.loop))
      local got = 0
      stream:on_recv(function()
        got = got + 1
        t.loop:call_later(0.001, function() rep:send("by the other library") end)
      end)
      local answers = 0
      for _ = 1, REQUESTS do
        local req = t:stream("REQ")
        req:connect(endpoint)
        req:on_recv(function() answers = answers + 1 end)
        req:send("x")
      end
      t:run_until(function() return answers == REQUESTS end)
      assert.equal(REQUESTS, got)
    end))

    it("a REQ whose reply it receives can send the next", test(function(t)
      local req, rep = t:socket("REQ"), t:stream("REP")
      req:connect(t:bind(rep))
      rep:on_recv(function(frames) rep:send_multipart(frames) end)
      local stream = t:keep(ZMQStream(req:handle(), t.loop))
      stream:send("1")
      stream:send("2")
      assert.equal(1, stream:queued())
      local replies = {}
      t:run_until(function()
        local reply = req:recv(zmq.DONTWAIT)
        replies[#replies + 1] = reply
        return #replies == 2
      end)
      assert.same({"1", "2"}, replies)
    end))
  end)

  describe("given as an object", function()
    it("is the field socket, and closed with the stream, once", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local object = lzmq_like(a)
      local stream = ZMQStream(object, t.loop)
      assert.equal(object, stream.socket)
      stream:on_recv(t.expect(function() t.loop:stop() end))
      b:send("x")
      t:start()
      stream:set_close_callback(t.expect(function() assert.is_true(a:closed()) end))
      stream:close(7)
      stream:close(7)
      assert.equal(1, object.calls)
      assert.same({7}, object.lingers)
      assert.is_true(a:closed())
    end))

    it("may have lightuserdata() instead of handle(), or socket() that gives one", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local inner = lzmq_like(a)
      inner.lightuserdata, inner.handle = inner.handle, nil
      local outer = {calls = 0}
      function outer.socket() return inner end
      function outer:close()
        self.calls = self.calls + 1
        inner:close()
      end
      local stream = ZMQStream(outer, t.loop)
      assert.equal(outer, stream.socket)
      stream:on_recv(t.expect(function() t.loop:stop() end))
      b:send("x")
      t:start()
      stream:close()
      assert.equal(1, outer.calls)
      assert.equal(1, inner.calls)
    end))

    it("closed first takes the stream with it, where it tells before", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local object = with_on_close(lzmq_like(a))
      local stream = ZMQStream(object, t.loop)
      stream:on_recv(t.expect(noop, 0))
      stream:set_close_callback(t.expect(noop))
      b:send("x")
      object:close()
      assert.equal(1, object.calls)
      assert.is_true(stream:closed())
      t:settle()
      assert.equal(0, stream:close())
    end))

    it("closed first without a word does no harm, to the next socket either", test(function(t)
      for _ = 1, 20 do
        local a, b = t:pair("PAIR", "PAIR")
        local object = lzmq_like(a)
        local stream = ZMQStream(object, t.loop)
        stream:on_recv(t.expect(noop, 0))
        object:close()
        local pull, push = t:streams("PULL", "PUSH")
        pull:on_recv(t.expect(function() t.loop:stop() end))
        push:send("x")
        t:start()
        assert.equal(0, stream:close())
        assert.is_true(stream:closed())
        assert.equal(1, object.calls)
        assert.is_nil((b:recv(zmq.DONTWAIT)))
      end
    end))

    it("does not keep the stream by the function it has for the end", test(function(t)
      local object = with_on_close(lzmq_like(t:socket("PULL")))
      local weak = setmetatable({}, {__mode = "v"})
      helper.apart(function() weak[1] = ZMQStream(object, t.loop) end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak[1])
      object:close()
    end))

    it("is kept by the stream", test(function(t)
      local weak = setmetatable({}, {__mode = "v"})
      local stream
      helper.apart(function()
        weak[1] = lzmq_like(t:socket("PULL"))
        stream = t:keep(ZMQStream(weak[1], t.loop))
      end)
      collectgarbage()
      assert.is_not_nil(weak[1])
      assert.equal(weak[1], stream.socket)
    end))

    it("an error of its close() goes where errors of callbacks go", test(function(t)
      t:expect_errors()
      local a = t:socket("PULL")
      local object = {handle = function() return a:handle() end}
      function object.close() error("cannot close", 0) end
      local stream = ZMQStream(object, t.loop)
      stream:set_close_callback(t.expect(noop))
      assert.equal(0, stream:close())
      assert.same({"cannot close"}, t.errors)
    end))

    it("is closed after its loop too", test(function(t)
      local loop = zmqloop.IOLoop(helper.loop_options())
      local object = lzmq_like(t:socket("PULL"))
      local stream = ZMQStream(object, loop)
      loop:close()
      assert.is_true(stream:closed())
      assert.equal(0, object.calls)
      stream:close()
      stream:close()
      assert.equal(1, object.calls)
    end))

    it("without a usable handle is no socket", test(function(t)
      local bad = {
        {}, {handle = 5}, {handle = function() return nil end}, io.stdout,
        {handle = function() return "x" end}, {socket = function() return {} end},
      }
      for _, object in ipairs(bad) do
        assert.has_error(function() ZMQStream(object, t.loop) end)
      end
    end))
  end)

  it("may be a pointer of LuaJIT's ffi", test(function(t)
    local found, ffi = pcall(require, "ffi")
    if not found then pending("this Lua has no ffi") return end
    local a, b = t:pair("PAIR", "PAIR")
    local pointer = ffi.cast("void *", a:handle())
    local stream = t:keep(ZMQStream(pointer, t.loop))
    stream:on_recv(t.expect(function() t.loop:stop() end))
    b:send("x")
    t:start()
    assert.equal(pointer, stream.socket)
    for _, bad in ipairs{ffi.new("int64_t"), ffi.new("int[4]")} do
      assert.has_error(function() ZMQStream(bad, t.loop) end)
    end
  end))
end)
