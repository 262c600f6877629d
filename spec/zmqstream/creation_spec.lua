-- How a stream is made, and how long it lives.
local helper = require("spec.helper")
local fixture = require("spec.zmqstream.fixture")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local ZMQStream = require("zmqloop.zmqstream").ZMQStream
local IOLoop = zmqloop.IOLoop
local test = helper.test

local record = fixture.record
local numbers, send_numbers = fixture.numbers, fixture.send_numbers

describe("ZMQStream", function()
  after_each(helper.cleanup)

  describe("creation", function()
    it("takes a socket and a loop, the current one by default", test(function(t)
      assert.equal(ZMQStream, zmqloop.ZMQStream)
      local socket = t:socket("PULL")
      local stream = t:keep(ZMQStream(socket, t.loop))
      assert.equal(socket, stream.socket)
      assert.equal(t.loop, stream.io_loop)
      t.loop:make_current()
      local other = t:keep(ZMQStream.new(t:socket("PULL")))
      assert.equal(t.loop, other.io_loop)
      IOLoop.clear_current()
    end))

    it("rejects what is no open socket, or no loop", test(function(t)
      for _, bad in ipairs{5, "x", {}, true, io.stdout} do
        assert.has_error(function() ZMQStream(bad, t.loop) end)
      end
      assert.has_error(function() ZMQStream(nil, t.loop) end)
      assert.has_error(function() ZMQStream(t:socket("PULL"), {}) end)
      local closed = t:socket("PULL")
      closed:close()
      local ok, err = pcall(ZMQStream, closed, t.loop)
      assert.is_false(ok)
      assert.matches("socket is closed", err, 1, true)
    end))

    it("is refused for a socket that has a stream", test(function(t)
      local stream = t:stream("PULL")
      assert.has_error(function() ZMQStream(stream.socket, t.loop) end)
      local other = t:keep(IOLoop(helper.loop_options()))
      assert.has_error(function() ZMQStream(stream.socket, other) end)
    end))

    it("passes on what a socket can", test(function(t)
      local sub, pub = t:stream("SUB"), t:stream("PUB")
      local address = t:address()
      assert.is_true(pub:bind(address))
      assert.equal(address, pub:get("last_endpoint"))
      assert.equal(address, pub:getsockopt("last_endpoint"))
      pub:set("linger", 7)
      assert.equal(7, pub.socket:get("linger"))
      pub:setsockopt("linger", 0)
      assert.is_true(sub:connect(address))
      assert.is_true(sub:subscribe("a"))
      assert.is_true(sub:subscribe("b"))
      assert.is_true(sub:unsubscribe("b"))
      local seen = record(sub)
      pub:send("b")
      pub:send("a")
      t:run_until(function() return #seen > 0 end)
      assert.same({"a"}, seen)
      assert.is_number(t:stream("PULL"):bind_to_random_port("tcp://127.0.0.1"))
      assert.is_true(sub:disconnect(address))
      assert.is_true(pub:unbind(address))
      local result, message, name = pub:bind("carrier://pigeon")
      assert.is_nil(result)
      assert.matches("carrier://pigeon", message, 1, true)
      assert.equal("EPROTONOSUPPORT", name)
    end))

    it("shows its type and state", test(function(t)
      local stream = t:stream("PULL")
      assert.matches("^ZMQStream", tostring(stream))
      stream:close()
      assert.matches("closed", tostring(stream))
    end))
  end)

  describe("life time", function()
    it("a receiving stream survives with no reference but the loop's", test(function(t)
      local address = t:address()
      local count = 0
      helper.apart(function()
        local pull = ZMQStream(t.ctx:socket("PULL", {bind = address}), t.loop)
        pull:on_recv(t.expect(function()
          count = count + 1
          if count == 3 then t.loop:stop() end
        end, 3))
      end)
      collectgarbage()
      collectgarbage()
      local push = t:stream("PUSH", {connect = address})
      send_numbers(push, 1, 3)
      t:start()
    end))

    it("a sending stream survives until its queue is empty", test(function(t)
      local address = t:address("ipc")
      helper.apart(function()
        local push = ZMQStream(t.ctx:socket("PUSH"), t.loop)
        send_numbers(push, 1, 3)
        push:connect(address)
      end)
      collectgarbage()
      collectgarbage()
      local pull = t:stream("PULL")
      pull:bind(address)
      local seen = record(pull)
      t:run_until(function() collectgarbage() return #seen == 3 end)
      assert.same(numbers(1, 3), seen)
    end))

    it("an idle stream is collected, also with its loop and context", test(function(t)
      local weak = setmetatable({}, {__mode = "k"})
      helper.apart(function()
        local stream = ZMQStream(t.ctx:socket("PULL"), t.loop)
        stream:on_recv(function() return stream end)
        stream:on_recv(nil)
        weak[stream] = true
        local loop = IOLoop(helper.loop_options())
        local other = ZMQStream(zmq.Context():socket("PULL"), loop)
        other:on_recv(function() return other, loop end)
        other:on_send(function() return other end)
        loop:call_later(3600, function() return other end)
        loop:add_callback(function() return loop end)
        weak[other], weak[loop] = true, true
      end)
      for _ = 1, 4 do collectgarbage() end
      assert.is_nil(next(weak))
    end))

    it("one hundred cycles of callbacks and streams are collected", test(function(t)
      local weak = setmetatable({}, {__mode = "k"})
      for _ = 1, 100 do
        local stream = ZMQStream(t.ctx:socket("PAIR", {linger = 0}), t.loop)
        stream:on_send(function() return stream end)
        stream:set_close_callback(function() return stream end)
        weak[stream] = true
      end
      for _ = 1, 4 do collectgarbage() end
      assert.is_nil(next(weak))
    end))
  end)
end)
