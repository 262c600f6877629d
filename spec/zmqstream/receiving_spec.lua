-- What a stream receives, and when.
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

  describe("on_recv", function()
    it("gets messages that came before it was set", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      push:send_multipart{"early", "bird"}
      pull:on_recv(t.expect(function(frames)
        assert.same({"early", "bird"}, frames)
        t.loop:stop()
      end))
      t:start()
    end))

    it("wakes an idle loop, on each transport", test(function(t)
      for _, transport in ipairs{"inproc", "ipc", "tcp"} do
        local pull, push = t:streams("PULL", "PUSH", transport)
        pull:on_recv(t.expect(function(frames)
          assert.same({transport}, frames)
          t.loop:stop()
        end))
        t.loop:call_later(0.005, function() push:send(transport) end)
        t:start()
        pull:close()
        push:close()
      end
    end))

    it("gets all frames of a message, empty ones and NUL bytes", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local messages = {{""}, {"a\0b", "", "c"}, {"", "", ""}, {("x"):rep(70000), "\0"}}
      local seen, add = log()
      pull:on_recv(t.expect(add, #messages))
      for _, frames in ipairs(messages) do assert.is_true(push:send_multipart(frames)) end
      t:run_until(function() return #seen == #messages end)
      assert.same(messages, seen)
    end))

    it("gets a table of its own per message", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(add)
      send_numbers(push, 1, 10)
      t:run_until(function() return #seen == 10 end)
      for i = 1, 10 do assert.same({tostring(i)}, seen[i]) end
    end))

    it("takes callable tables and nothing else that cannot be called", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      for _, bad in ipairs{1, "x", {}, true} do
        assert.has_error(function() pull:on_recv(bad) end)
        assert.has_error(function() pull:on_recv_stream(bad) end)
        assert.has_error(function() pull:on_send(bad) end)
        assert.has_error(function() pull:on_send_stream(bad) end)
        assert.has_error(function() pull:set_close_callback(bad) end)
      end
      local ok, err = pcall(pull.on_recv, pull, 1)
      assert.is_false(ok)
      assert.matches("bad argument #1 to 'on_recv'", err, 1, true)
      push:send("x")
      pull:on_recv(setmetatable({}, {__call = t.expect(function(_, frames)
        assert.same({"x"}, frames)
        t.loop:stop()
      end)}))
      t:start()
    end))

    it("with unpack gets the frames as arguments", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(t.expect(function(...) add(helper.pack(...)) end, 2), {unpack = true})
      push:send_multipart{"a", "", "c"}
      push:send("z")
      t:run_until(function() return #seen == 2 end)
      assert.same({{n = 3, "a", "", "c"}, {n = 1, "z"}}, seen)
      assert.has_error(function() pull:on_recv(noop, {unpcak = true}) end)
    end))

    -- There are paths for few and for many frames, and for small and large ones.
    it("gets messages of any shape, as lists and unpacked", test(function(t)
      local sizes, sent, shape = {0, 1, 29, 30, 1024, 1025, 70000}, {}, 0
      for round = 1, 8 do
        for count = 1, 10 do
          local frames = {}
          for i = 1, count do
            shape = shape + 1
            frames[i] = ("%d"):format(shape % 10):rep(sizes[(shape + round) % #sizes + 1])
          end
          sent[#sent + 1] = frames
        end
      end
      for _, unpacked in ipairs{false, true} do
        local pull, push = t:streams("PULL", "PUSH")
        local received = {}
        pull:on_recv(function(first, ...)
          received[#received + 1] = unpacked and {first, ...} or first
          if #received == #sent then t.loop:stop() end
        end, {unpack = unpacked})
        for _, frames in ipairs(sent) do
          assert(push:send_multipart(frames))
        end
        t:start()
        assert.same(sent, received)
      end
    end))

    it("with unpack takes a message of very many frames", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(t.expect(function(...)
        assert.equal(5000, select("#", ...))
        assert.equal("5000", (select(5000, ...)))
        t.loop:stop()
      end), {unpack = true})
      assert.is_true(push:send_multipart(numbers(1, 5000)))
      t:start()
    end))

    it("accepts PyZMQ's copy argument", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(t.expect(function(frames)
        assert.same({"x"}, frames)
        t.loop:stop()
      end), true)
      push:send("x")
      t:start()
    end))

    it("replaced in its callback, the new one gets the next message", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(t.expect(function(frames)
        add("old " .. frames[1])
        pull:on_recv(t.expect(function(next_frames) add("new " .. next_frames[1]) end, 2))
      end))
      send_numbers(push, 1, 3)
      t:run_until(function() return #seen == 3 end)
      assert.same({"old 1", "new 2", "new 3"}, seen)
    end))

    it("on_recv_stream gets the stream first, in the same slot", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(t.expect(noop, 0))
      pull:on_recv_stream(t.expect(function(stream, frames)
        assert.equal(pull, stream)
        assert.same({"x", "y"}, frames)
        t.loop:stop()
      end))
      push:send_multipart{"x", "y"}
      t:start()
    end))

    it("may return anything", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local count = 0
      pull:on_recv(function() count = count + 1 return false, {}, "x" end)
      send_numbers(push, 1, 3)
      t:run_until(function() return count == 3 end)
    end))

    it("keeps the order of very many messages, on each transport", test(function(t)
      for _, transport in ipairs{"inproc", "ipc", "tcp"} do
        local pull, push = t:streams("PULL", "PUSH", transport)
        local count = 0
        pull:on_recv(function(frames)
          count = count + 1
          assert(frames[1] == tostring(count) and frames[2] == "" and #frames == 2)
        end)
        for i = 1, 5000 do push:send_multipart{tostring(i), ""} end
        t:run_until(function() return count == 5000 end)
        pull:close()
        push:close()
      end
    end))
  end)

  describe("pause", function()
    it("keeps messages in the socket; resume brings them in order", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = record(pull)
      assert.is_true(pull:receiving())
      pull:pause()
      assert.is_false(pull:receiving())
      send_numbers(push, 1, 5)
      t:settle()
      assert.same({}, seen)
      pull:resume()
      assert.is_true(pull:receiving())
      t:run_until(function() return #seen == 5 end)
      assert.same(numbers(1, 5), seen)
    end))

    it("twice is pause once, and resume without a pause does nothing", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      pull:pause()
      pull:resume()
      assert.is_false(pull:receiving()) -- there is no callback
      local seen = record(pull)
      pull:resume()
      pull:pause()
      pull:pause()
      push:send("1")
      t:settle()
      assert.same({}, seen)
      pull:resume()
      t:run_until(function() return #seen == 1 end)
    end))

    it("by on_recv(nil) or stop_on_recv() lasts until the next on_recv", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      for _, stop in ipairs{
        function() pull:on_recv(nil) end, function() pull:stop_on_recv() end,
        function() pull:on_recv_stream(nil) end,
      } do
        pull:on_recv(t.expect(noop, 0))
        stop()
        assert.is_false(pull:receiving())
        send_numbers(push, 1, 3)
        t:settle()
        local seen = record(pull)
        t:run_until(function() return #seen == 3 end)
        assert.same(numbers(1, 3), seen)
      end
    end))

    it("inside the callback holds back what is queued behind, losing nothing", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        pull:pause()
      end)
      send_numbers(push, 1, 5)
      for i = 1, 5 do
        t:run_until(function() return #seen >= i end)
        t:settle()
        assert.equal(i, #seen)
        pull:resume()
      end
      assert.same(numbers(1, 5), seen)
    end))

    it("of another stream in the same iteration loses none of its messages", test(function(t)
      local a, push_a = t:streams("PULL", "PUSH")
      local b, push_b = t:streams("PULL", "PUSH")
      local seen_a, add_a = log()
      local seen_b, add_b = log()
      a:on_recv(function(frames) add_a(frames[1]) b:pause() end)
      b:on_recv(function(frames) add_b(frames[1]) a:pause() end)
      send_numbers(push_a, 1, 3)
      send_numbers(push_b, 1, 3)
      t:settle()
      a:resume()
      b:resume()
      t:run_until(function()
        a:resume()
        b:resume()
        return #seen_a == 3 and #seen_b == 3
      end)
      assert.same(numbers(1, 3), seen_a)
      assert.same(numbers(1, 3), seen_b)
    end))

    it("and resume around a flood loses nothing and keeps the order", test(function(t)
      local pull, push = t:streams("PULL", "PUSH", "tcp")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        if #seen % 7 == 0 then
          pull:pause()
          t.loop:add_callback(function() pull:resume() end)
        end
      end)
      send_numbers(push, 1, 500)
      t:run_until(function() return #seen == 500 end)
      assert.same(numbers(1, 500), seen)
    end))
  end)

  describe("an error in on_recv", function()
    it("loses none of the messages behind it, and does not wedge the stream", test(function(t)
      t:expect_errors()
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        if #seen <= 3 then error("failed at " .. frames[1], 0) end
      end)
      send_numbers(push, 1, 10)
      t:run_until(function() return #seen == 10 end)
      assert.same(numbers(1, 10), seen)
      assert.same({"failed at 1", "failed at 2", "failed at 3"}, t.errors)
      assert.is_true(pull:receiving())
      push:send("11")
      t:run_until(function() return #seen == 11 end)
    end))

    it('with on_error("raise") comes out of start, which resumes behind it', test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      t.loop:on_error("raise")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        if frames[1] == "2" or frames[1] == "3" then error("oh " .. frames[1], 0) end
        if frames[1] == "5" then t.loop:stop() end
      end)
      send_numbers(push, 1, 5)
      assert.has_error(function() t.loop:start() end, "oh 2")
      assert.same(numbers(1, 2), seen)
      assert.has_error(function() t.loop:start() end, "oh 3")
      t.loop:start()
      assert.same(numbers(1, 5), seen)
    end))

    it("reaches handle_callback_exception with the callback", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      t.loop:on_error(nil)
      local function bad() error("x", 0) end
      t.loop.handle_callback_exception = t.expect(function(loop, fn, err, traceback)
        assert.equal(t.loop, loop)
        assert.equal(bad, fn)
        assert.equal("x", err)
        assert.matches("stack traceback", traceback)
        loop:stop()
      end)
      pull:on_recv(bad)
      push:send("1")
      t.loop:start()
    end))
  end)

  describe("raw calls on stream.socket in another callback", function()
    it("that receive lose no wake-up", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local pull, push = t:streams("PULL", "PUSH", transport)
        local seen, add = log()
        pull:on_recv(function(frames) add(frames[1]) end)
        local raw = 0
        for round = 1, 20 do
          push:send(tostring(round) .. "a")
          push:send(tostring(round) .. "b")
          t.loop:add_callback(function()
            if pull.socket:recv(zmq.DONTWAIT) then raw = raw + 1 end
          end)
          t:run_until(function() return #seen + raw == 2 * round end)
        end
      end
    end))

    it("that send lose no wake-up", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local a, b = t:streams("PAIR", "PAIR", transport)
        local seen_a, seen_b = record(a), record(b)
        for round = 1, 20 do
          assert.is_true(b:send(tostring(round)))
          t.loop:add_callback(function() assert.is_true(a.socket:send("raw")) end)
          t:run_until(function() return #seen_a == round and #seen_b == round end)
        end
      end
    end))

    it("that read events, poll or set options lose no wake-up", test(function(t)
      local calls = {
        function(socket) socket:get("events") end,
        function(socket) socket:poll(0) end,
        function(socket) socket:set("rcvhwm", 500) end,
      }
      for _, call in ipairs(calls) do
        local pull, push = t:streams("PULL", "PUSH", "tcp")
        local seen = record(pull)
        for round = 1, 20 do
          push:send(tostring(round))
          t.loop:add_callback(call, pull.socket)
          t.loop:call_later(0.001, call, pull.socket)
          t:run_until(function() return #seen == round end)
        end
      end
    end))

    it("on a socket that is paused or whose stream comes later lose nothing", test(function(t)
      local pull, push = t:pair("PULL", "PUSH", "tcp")
      send_numbers(push, 1, 3)
      pull:poll(1000)
      pull:get("events")
      local stream = t:keep(ZMQStream(pull, t.loop))
      local seen = record(stream)
      t:run_until(function() return #seen == 3 end)
      stream:pause()
      send_numbers(push, 4, 6)
      pull:poll(1000)
      stream:resume()
      t:run_until(function() return #seen == 6 end)
      assert.same(numbers(1, 6), seen)
    end))

    it("that answer for a REP stream do not hold up the next request", test(function(t)
      local rep = t:stream("REP")
      local endpoint = t:bind(rep)
      local clients, answers = {}, 0
      for i = 1, 3 do
        clients[i] = t:stream("REQ")
        clients[i]:connect(endpoint)
        clients[i]:on_recv(function() answers = answers + 1 end)
        clients[i]:send("question " .. i)
      end
      rep:on_recv(function()
        t.loop:add_callback(function() assert.is_true(rep.socket:send("raw answer")) end)
      end)
      t:run_until(function() return answers == 3 end)
    end))
  end)

  describe("turns", function()
    it("two busy streams alternate, message by message with a batch of one", test(function(t)
      local a, push_a = t:streams("PULL", "PUSH")
      local b, push_b = t:streams("PULL", "PUSH")
      local seen, add = log()
      a:set_batch(1)
      b:set_batch(1)
      a:on_recv(function() add("a") end)
      b:on_recv(function() add("b") end)
      send_numbers(push_a, 1, 20)
      send_numbers(push_b, 1, 20)
      t:run_until(function() return #seen == 40 end)
      for i = 3, 40 do
        assert.equal(seen[i - 2], seen[i])
        assert.not_equal(seen[i - 1], seen[i])
      end
    end))

    it("a busy stream starves neither its neighbour nor timers and callbacks", test(function(t)
      local greedy, feed = t:streams("PAIR", "PAIR")
      local other, push = t:streams("PULL", "PUSH")
      local stopped = false
      greedy:on_recv(function(frames) -- feeds itself for ever
        if not stopped then feed.socket:send(frames[1]) end
      end)
      for _ = 1, 200 do feed:send("x") end
      local seen = record(other)
      local timer, callback = false, false
      t.loop:call_later(0.001, t.expect(function() timer = true end))
      t.loop:add_callback(t.expect(function() callback = true end))
      send_numbers(push, 1, 3)
      t:run_until(function() return #seen == 3 and timer and callback end)
      stopped = true
    end))

    it("a step with a budget delivers no more messages than that", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = record(pull)
      send_numbers(push, 1, 5)
      local guard = 0
      while #seen < 5 do
        local before = #seen
        local handled = t.loop:step(0.1, {events = 1})
        assert.is_true(handled <= 1)
        assert.is_true(#seen - before <= 1)
        guard = guard + 1
        assert.is_true(guard < 1000)
      end
      assert.same(numbers(1, 5), seen)
    end))

    it("rejects what is no batch", test(function(t)
      local pull = t:stream("PULL")
      for _, bad in ipairs{0, -1, 65536, 1.5, "x"} do
        assert.has_error(function() pull:set_batch(bad) end)
      end
      pull:set_batch(65535)
    end))
  end)
end)
