-- What a stream sends or queues, and what it reports of that.
local helper = require("spec.helper")
local fixture = require("spec.zmqstream.fixture")
local zmq = require("zmqloop.zmq")
local ZMQStream = require("zmqloop.zmqstream").ZMQStream
local test = helper.test

local function noop() end

local log, record = fixture.log, fixture.record
local numbers, send_numbers = fixture.numbers, fixture.send_numbers

describe("ZMQStream", function()
  after_each(helper.cleanup)

  describe("send", function()
    it("goes out at once when the socket can take it", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      local stream = t:keep(ZMQStream(push, t.loop))
      assert.is_true(stream:send("x"))
      assert.equal(0, stream:queued())
      assert.is_false(stream:sending())
      assert.equal("x", pull:recv(zmq.DONTWAIT))
    end))

    it("before there is a peer queues, and all arrive in order", test(function(t)
      for _, transport in ipairs{"inproc", "ipc", "tcp"} do
        local pull, push = t:stream("PULL"), t:stream("PUSH")
        send_numbers(push, 1, 100)
        assert.equal(100, push:queued())
        assert.is_true(push:sending())
        push:connect(t:bind(pull, transport))
        local seen = record(pull)
        t:run_until(function() return #seen == 100 end)
        assert.same(numbers(1, 100), seen)
        assert.equal(0, push:queued())
        assert.is_false(push:sending())
        pull:close()
        push:close()
      end
    end))

    it("keeps what it was given, whatever the list becomes later", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      local list = {"a", "b"}
      assert.is_true(push:send_multipart(list))
      list[1], list[2] = "changed", nil
      pull:bind("inproc://kept-list")
      push:connect("inproc://kept-list")
      pull:on_recv(t.expect(function(frames)
        assert.same({"a", "b"}, frames)
        t.loop:stop()
      end))
      t:start()
    end))

    it("beyond the high-water mark queues, and all arrive in order", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local pull, push = t:stream("PULL", {rcvhwm = 1}), t:stream("PUSH", {sndhwm = 1})
        push:connect(t:bind(pull, transport))
        local seen, add = log()
        pull:on_recv(function(frames)
          assert.equal(2, #frames)
          add(frames[1])
        end)
        local payload = ("x"):rep(10000)
        for i = 1, 1000 do assert.is_true(push:send_multipart{tostring(i), payload}) end
        assert.is_true(push:queued() > 0)
        t:run_until(function() return #seen == 1000 end)
        assert.same(numbers(1, 1000), seen)
        assert.equal(0, push:queued())
      end
    end))

    it("behind what is queued does not overtake", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      send_numbers(push, 1, 3)
      push:connect(t:bind(pull))
      send_numbers(push, 4, 6) -- the socket could take these now
      local seen = record(pull)
      t:run_until(function() return #seen == 6 end)
      assert.same(numbers(1, 6), seen)
    end))

    it("sends strings and nothing else, and checks all frames first", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      for _, bad in ipairs{5, 0.5, true, print} do
        assert.has_error(function() push:send(bad) end)
        local ok, err = pcall(push.send_multipart, push, {"a", bad})
        assert.is_false(ok)
        assert.matches("send_multipart", err, 1, true)
        assert.matches("2", err, 1, true)
      end
      assert.has_error(function() push:send() end)
      assert.has_error(function() push:send{} end)
      assert.has_error(function() push:send_multipart() end)
      assert.has_error(function() push:send_multipart{} end)
      assert.has_error(function() push:send_multipart{{}} end)
      local ok, err = pcall(push.send, push, 5)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'send'", err, 1, true)
      assert.equal(0, push:queued())
      push:send("fine")
      pull:on_recv(t.expect(function(frames)
        assert.same({"fine"}, frames)
        t.loop:stop()
      end))
      t:start()
    end))

    it("rejects options it does not know", test(function(t)
      local _, push = t:streams("PULL", "PUSH")
      assert.has_error(function() push:send("x", {calback = noop}) end)
      assert.has_error(function() push:send("x", {callback = 1}) end)
      assert.has_error(function() push:send("x", 5) end)
    end))

    it("takes flags as PyZMQ does; SNDMORE is a message in parts, and raises", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = {}
      pull:on_recv(function(frames) seen[#seen + 1] = frames end)
      for _, flags in ipairs{zmq.SNDMORE, zmq.SNDMORE + zmq.DONTWAIT} do
        for _, method in ipairs{"send", "send_string"} do
          helper.raises("send_multipart", push[method], push, "x", {flags = flags})
        end
        helper.raises("SNDMORE", push.send_multipart, push, {"x"}, {flags = flags})
      end
      assert.is_true(push:send("x", {flags = zmq.DONTWAIT}))
      assert.is_true(push:send("y", {flags = 0}))
      t:run_until(function() return #seen == 2 end)
      assert.same({{"x"}, {"y"}}, seen)
    end))

    it("send_string is send", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      helper.raises("bad argument #1 to 'send_string'", push.send_string, push, 5)
      assert.is_true(push:send_string("text"))
      local seen = record(pull)
      t:run_until(function() return #seen == 1 end)
      assert.same({"text"}, seen)
    end))

    it("in a callback while the last peer has gone does not block the loop", test(function(t)
      local address = t:address()
      local a, b = t:stream("DEALER"), t:stream("DEALER")
      a:bind(address)
      b:connect(address)
      local ticks = 0
      a:on_recv(t.expect(function()
        b:close()
        a:unbind(address)
        for i = 1, 5 do assert.is_true(a:send(tostring(i))) end
      end))
      b:send("x")
      local timer
      timer = t.loop:call_later(0.001, function()
        ticks = ticks + 1
        if ticks < 5 then timer:again(0.001) else t.loop:stop() end
      end)
      t:start()
    end))

    it("queued while the receive callback removes the peer does not block", test(function(t)
      local address = t:address()
      local server, client = t:stream("DEALER"), t:stream("DEALER", {sndhwm = 1})
      server:bind(address)
      client:connect(address)
      client:on_recv(t.expect(function()
        client:disconnect(address)
        t.loop:call_later(0.005, t.expect(function() t.loop:stop() end))
      end))
      server:send("x")
      send_numbers(client, 1, 2000)
      t:start()
      assert.is_true(client:queued() > 0)
    end))

    it("refused by libzmq at once says why, and is not queued", test(function(t)
      local router = t:stream("ROUTER", {router_mandatory = true})
      t:bind(router)
      local result, message, name = router:send_multipart{"ghost", "x"}
      assert.is_nil(result)
      assert.equal("EHOSTUNREACH", name)
      assert.matches("^EHOSTUNREACH: ", message)
      assert.equal(0, router:queued())
      local pull = t:stream("PULL")
      result, message, name = pull:send("x")
      assert.is_nil(result)
      assert.is_string(message)
      assert.equal("ENOTSUP", name)
    end))

    it("REQ: the second waits for the reply to the first", test(function(t)
      local rep, req = t:streams("REP", "REQ")
      local asked, answered = log(), log()
      rep:on_recv(function(frames)
        asked[#asked + 1] = frames[1]
        rep:send("re " .. frames[1])
      end)
      req:on_recv(function(frames) answered[#answered + 1] = frames[1] end)
      send_numbers(req, 1, 5)
      assert.equal(4, req:queued())
      t:run_until(function() return #answered == 5 end)
      assert.same(numbers(1, 5), asked)
      assert.same({"re 1", "re 2", "re 3", "re 4", "re 5"}, answered)
    end))

    it("REP: requests that queue up are all answered, late answers too", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local rep = t:stream("REP")
        local endpoint = t:bind(rep, transport)
        local answers = {}
        for i = 1, 10 do
          local req = t:stream("REQ")
          req:connect(endpoint)
          req:on_recv(function(frames) answers[#answers + 1] = frames[1] end)
          req:send(tostring(i))
        end
        local turn = 0
        rep:on_recv(function(frames)
          turn = turn + 1
          if turn % 2 == 0 then
            rep:send_multipart(frames)
          else
            t.loop:call_later(0.001, function() rep:send_multipart(frames) end)
          end
        end)
        t:run_until(function() return #answers == 10 end)
        table.sort(answers, function(a, b) return tonumber(a) < tonumber(b) end)
        assert.same(numbers(1, 10), answers)
        rep:close()
      end
    end))

    it("ROUTER and DEALER keep envelopes", test(function(t)
      local router, dealer = t:stream("ROUTER"), t:stream("DEALER", {routing_id = "d\0r"})
      dealer:connect(t:bind(router))
      router:on_recv(t.expect(function(frames)
        assert.same({"d\0r", "", "hello"}, frames)
        router:send_multipart{frames[1], "", "back"}
      end))
      dealer:on_recv(t.expect(function(frames)
        assert.same({"", "back"}, frames)
        t.loop:stop()
      end))
      dealer:send_multipart{"", "hello"}
      t:start()
    end))
  end)

  describe("on_send", function()
    it("is called from the loop, never inside send, once per message, in order", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      record(pull)
      local seen, add = log()
      local inside = false
      push:on_send(t.expect(function(frames, status)
        assert.is_false(inside)
        assert.is_true(status)
        add(frames[1])
      end, 10))
      for i = 1, 10 do
        inside = true
        push:send(tostring(i))
        inside = false
      end
      assert.same({}, seen)
      t:run_until(function() return #seen == 10 end)
      t:settle()
      assert.same(numbers(1, 10), seen)
    end))

    it("gets all frames of the message", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      local seen, add = log()
      push:on_send(t.expect(function(frames) add(frames) end, 2))
      push:send_multipart{"a", "", "c\0"}
      push:connect(t:bind(pull))
      push:send("z")
      t:run_until(function() return #seen == 2 end)
      assert.same({{"a", "", "c\0"}, {"z"}}, seen)
    end))

    it("for queued messages is called when they leave, not before", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      local seen, add = log()
      push:on_send(function(frames) add(frames[1]) end)
      send_numbers(push, 1, 5)
      t:settle()
      assert.same({}, seen)
      push:connect(t:bind(pull))
      t:run_until(function() return #seen == 5 end)
      assert.same(numbers(1, 5), seen)
    end))

    it("sees messages in order, those that went at once and those that waited", test(function(t)
      local pull, push = t:stream("PULL", {rcvhwm = 1}), t:stream("PUSH", {sndhwm = 1})
      push:connect(t:bind(pull))
      record(pull)
      local seen, add = log()
      push:on_send(function(frames, status)
        assert(status == true)
        add(frames[1])
      end)
      send_numbers(push, 1, 500)
      t:run_until(function() return #seen == 500 end)
      assert.same(numbers(1, 500), seen)
    end))

    it("on_send_stream gets the stream first, in the same slot", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      record(pull)
      push:on_send(t.expect(noop, 0))
      push:on_send_stream(t.expect(function(stream, frames, status)
        assert.equal(push, stream)
        assert.same({"x"}, frames)
        assert.is_true(status)
        t.loop:stop()
      end))
      push:send("x")
      t:start()
    end))

    it("a callback of one message belongs to that message only", test(function(t)
      for _, early in ipairs{true, false} do
        local pull, push = t:stream("PULL"), t:stream("PUSH")
        local endpoint = t:bind(pull)
        if early then push:connect(endpoint) end
        local every, own = {}, {}
        push:on_send(t.expect(function(frames) every[#every + 1] = frames[1] end, 4))
        push:send("1")
        push:send("2", t.expect(function(frames, status)
          assert.is_true(status)
          own[#own + 1] = frames[1]
        end))
        push:send_multipart({"3"}, {callback = t.expect(function(frames)
          own[#own + 1] = frames[1]
        end)})
        push:send("4")
        if not early then push:connect(endpoint) end
        t:run_until(function() return #every == 4 end)
        t:settle()
        assert.same(numbers(1, 4), every)
        assert.same({"2", "3"}, own)
        push:close()
        pull:close()
      end
    end))

    it("a callback of one message works without on_send", test(function(t)
      local _, push = t:streams("PULL", "PUSH")
      push:send("1", t.expect(function() t.loop:stop() end))
      push:send("2")
      t:start()
      t:settle()
    end))

    it("stop_on_send() ends it", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = record(pull)
      push:on_send(t.expect(noop, 0))
      push:stop_on_send()
      push:send("1")
      push:on_send(nil)
      push:send("2")
      t:run_until(function() return #seen == 2 end)
      t:settle()
    end))

    it("tells what libzmq refused later", test(function(t)
      local router = t:stream("ROUTER", {router_mandatory = true, sndhwm = 1})
      local dealer = t:stream("DEALER", {routing_id = "d", rcvhwm = 1})
      dealer:connect(t:bind(router))
      local ready = false
      dealer:send("hello")
      router:on_recv(function() ready = true end)
      t:run_until(function() return ready end)
      while router:queued() == 0 do
        assert.is_true(router:send_multipart{"d", "filler"})
      end
      local report
      assert.is_true(router:send_multipart({"ghost", "x"}, t.expect(function(frames, ...)
        report = helper.pack(frames[1], ...)
      end)))
      local after = false
      assert.is_true(router:send_multipart({"d", "after"}, function() after = true end))
      record(dealer)
      t:run_until(function() return report and after end)
      assert.equal("ghost", report[1])
      assert.is_nil(report[2])
      assert.matches("^EHOSTUNREACH: ", report[3])
      assert.equal("EHOSTUNREACH", report[4])
    end))

    it("an error in it holds up no other message", test(function(t)
      t:expect_errors()
      local pull, push = t:streams("PULL", "PUSH")
      local received = record(pull)
      local seen, add = log()
      push:on_send(function(frames)
        add(frames[1])
        error("no", 0)
      end)
      send_numbers(push, 1, 5)
      t:run_until(function() return #seen == 5 and #received == 5 end)
      assert.same(numbers(1, 5), seen)
      assert.equal(5, #t.errors)
    end))

    it("may send the next message", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = record(pull)
      push:on_send(function(frames)
        local i = tonumber(frames[1])
        if i < 20 then push:send(("%d"):format(i + 1)) end
      end)
      push:send("1")
      t:run_until(function() return #seen == 20 end)
      assert.same(numbers(1, 20), seen)
    end))
  end)
end)
