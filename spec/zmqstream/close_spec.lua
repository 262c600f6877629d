-- close(), and what becomes of what was queued.
local helper = require("spec.helper")
local fixture = require("spec.zmqstream.fixture")
local zmqloop = require("zmqloop")
local ZMQStream = require("zmqloop.zmqstream").ZMQStream
local IOLoop = zmqloop.IOLoop
local test = helper.test

local function noop() end

local record = fixture.record
local numbers, send_numbers = fixture.numbers, fixture.send_numbers

describe("ZMQStream", function()
  after_each(helper.cleanup)

  describe("close", function()
    it("returns what was not sent and tells the close callback, once", test(function(t)
      local push = t:stream("PUSH")
      send_numbers(push, 1, 7)
      push:set_close_callback(t.expect(function(unsent)
        assert.equal(7, unsent)
        assert.is_true(push:closed())
      end))
      assert.equal(7, push:close())
      assert.is_true(push:closed())
      assert.is_true(push.socket == nil or push.socket:closed())
      push:close()
      push:close()
    end))

    it("hands libzmq what it will take, so that it arrives", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH", {linger = 10000})
      send_numbers(push, 1, 5)
      push:connect(t:bind(pull))
      assert.equal(0, push:close())
      local seen = record(pull)
      t:run_until(function() return #seen == 5 end)
      assert.same(numbers(1, 5), seen)
    end))

    it("returns 0 when nothing was queued", test(function(t)
      local pull = t:stream("PULL")
      pull:set_close_callback(t.expect(function(unsent) assert.equal(0, unsent) end))
      assert.equal(0, pull:close())
    end))

    it("takes a linger", test(function(t)
      local push = t:stream("PUSH", {linger = -1})
      push:connect("tcp://127.0.0.1:1")
      push:send("lost")
      push:close(0)
      assert.is_true(t.ctx:term())
    end))

    it("makes everything but close and closed raise", test(function(t)
      local stream = t:stream("DEALER")
      stream:close()
      assert.is_true(stream:closed())
      local calls = {
        on_recv = {noop}, on_recv_stream = {noop}, on_send = {noop}, on_send_stream = {noop},
        send = {"x"}, send_multipart = {{"x"}}, send_string = {"x"}, flush = {},
        bind = {"inproc://x"}, connect = {"inproc://x"}, unbind = {"inproc://x"},
        disconnect = {"inproc://x"}, bind_to_random_port = {"tcp://127.0.0.1"},
        set = {"linger", 0}, get = {"linger"}, setsockopt = {"linger", 0},
        getsockopt = {"linger"}, subscribe = {"x"}, unsubscribe = {"x"},
        pause = {}, resume = {}, set_batch = {5}, set_close_callback = {noop},
      }
      for method, args in pairs(calls) do
        local ok, err = pcall(stream[method], stream, args[1], args[2])
        assert.is_false(ok, method)
        assert.matches("stream is closed", err, 1, true)
      end
    end))

    it("inside its own callback ends its calls, though more is queued", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(t.expect(function(frames)
        assert.same({"1"}, frames)
        pull:close()
      end))
      pull:set_close_callback(t.expect(noop))
      send_numbers(push, 1, 5)
      t:run_until(function() return pull:closed() end)
      t:settle()
    end))

    it("of another stream whose message is in hand ends its calls", test(function(t)
      local a, push_a = t:streams("PULL", "PUSH")
      local b, push_b = t:streams("PULL", "PUSH")
      local calls = 0
      a:on_recv(function() calls = calls + 1 b:close() end)
      b:on_recv(function() calls = calls + 1 a:close() end)
      send_numbers(push_a, 1, 1)
      send_numbers(push_b, 1, 1)
      t:run_until(function() return calls > 0 end)
      t:settle()
      assert.equal(1, calls)
    end))

    it("inside on_send ends it, and the callbacks of the messages behind", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      record(pull)
      push:on_send(t.expect(function() push:close() end))
      send_numbers(push, 1, 5)
      t:run_until(function() return push:closed() end)
      t:settle()
    end))

    it("of the loop first leaves streams that can be closed", test(function(t)
      local loop = IOLoop(helper.loop_options())
      local push = t:keep(ZMQStream(t:socket("PUSH"), loop))
      push:send("x")
      push:on_recv(t.expect(noop, 0))
      loop:close()
      push:close()
      assert.is_true(push:closed())
    end))

    it("calls its callback protected: an error goes to the loop's handler", test(function(t)
      t:expect_errors()
      local push = t:stream("PUSH")
      push:send("x")
      push:set_close_callback(function() error("close callback failed", 0) end)
      assert.equal(1, push:close())
      assert.is_true(push:closed())
      t:settle()
      assert.same({"close callback failed"}, t.errors)
    end))

    it("happens when the socket is closed behind it", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(t.expect(noop, 0))
      pull:set_close_callback(t.expect(noop))
      send_numbers(push, 1, 10)
      pull.socket:close()
      assert.is_true(pull:closed())
      t:settle()
      pull:close()
    end))

    it("in its own close callback, or a new stream there, does no harm", test(function(t)
      local push = t:stream("PUSH")
      push:set_close_callback(t.expect(function()
        push:close()
        t:stream("PULL")
      end))
      push:close()
      t:settle()
    end))

    it("can lose its callback", test(function(t)
      local push = t:stream("PUSH")
      push:set_close_callback(t.expect(noop, 0))
      push:set_close_callback(nil)
      push:close()
    end))
  end)
end)
