local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local ZMQStream = require("zmqloop.zmqstream").ZMQStream
local IOLoop = zmqloop.IOLoop
local test = helper.test

local function noop() end

-- A list to which its own add() appends.
local function log()
  local list = {}
  return list, function(value) list[#list + 1] = value end
end

-- The first frames of messages, in the order of arrival, by on_recv.
local function record(stream)
  local seen, add = log()
  stream:on_recv(function(frames) add(frames[1]) end)
  return seen
end

local function numbers(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = tostring(i) end
  return list
end

local function send_numbers(sender, first, last)
  for i = first, last do assert.is_true(sender:send(tostring(i))) end
end

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

  describe("flush", function()
    it("receives and delivers what is there, and counts it", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen = record(pull)
      send_numbers(push, 1, 5)
      assert.equal(5, pull:flush())
      assert.same(numbers(1, 5), seen)
      assert.equal(0, pull:flush())
      assert.equal(0, push:flush())
    end))

    it("sends what is queued, and counts it", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      send_numbers(push, 1, 5)
      assert.equal(0, push:flush())
      push:connect(t:bind(pull))
      assert.equal(0, push:flush(zmq.POLLIN))
      assert.equal(5, push:flush(zmq.POLLOUT))
      assert.equal(0, push:queued())
      local seen = record(pull)
      assert.equal(0, pull:flush(zmq.POLLOUT))
      assert.equal(5, pull:flush(zmq.POLLIN))
      assert.same(numbers(1, 5), seen)
    end))

    it("keeps to its limit exactly; 0 means none", test(function(t)
      local a, b = t:stream("PAIR"), t:stream("PAIR")
      local seen = record(a)
      send_numbers(a, 1, 4) -- queued: there is no peer
      a:connect(t:bind(b))
      send_numbers(b, 1, 4)
      local both = zmq.POLLIN + zmq.POLLOUT
      assert.equal(0, a:flush(both, 0))
      assert.equal(0, #seen)
      assert.equal(4, a:queued())
      for i = 1, 8 do
        assert.equal(1, a:flush(both, 1))
        assert.equal(i, #seen + 4 - a:queued())
      end
      assert.equal(0, a:flush(both, 1))
      assert.same(numbers(1, 4), seen)
      assert.equal(0, a:queued())
    end))

    it("sends the replies that its callbacks queue", test(function(t)
      local dealer, echo = t:pair("DEALER", "DEALER")
      local stream = t:keep(ZMQStream(echo, t.loop))
      stream:on_recv(function(frames) stream:send_multipart(frames) end)
      send_numbers(dealer, 1, 3)
      assert.is_true(stream:flush() >= 3)
      assert.equal(0, stream:queued())
      for i = 1, 3 do assert.equal(tostring(i), dealer:recv(zmq.DONTWAIT)) end
    end))

    it("of POLLIN without a callback reads and discards", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      send_numbers(push, 1, 3)
      assert.equal(3, pull:flush(zmq.POLLIN))
      push:send("4")
      local seen = record(pull)
      t:run_until(function() return #seen > 0 end)
      assert.same({"4"}, seen)
    end))

    it("does not hold up what comes later", test(function(t)
      local pull, push = t:streams("PULL", "PUSH", "tcp")
      local seen = record(pull)
      for round = 1, 20 do
        push:send(tostring(round))
        pull:flush()
        t:run_until(function() return #seen == round end)
      end
      assert.same(numbers(1, 20), seen)
    end))

    it("inside a callback of the stream, or while closing, does no harm", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        if frames[1] == "5" then pull:close() else pull:flush() end
      end)
      send_numbers(push, 1, 8)
      t:run_until(function() return pull:closed() end)
      t:settle()
      assert.same(numbers(1, 5), seen)
    end))

    it("goes on behind an error in a callback", test(function(t)
      t:expect_errors()
      local pull, push = t:streams("PULL", "PUSH")
      local seen, add = log()
      pull:on_recv(function(frames)
        add(frames[1])
        error("no", 0)
      end)
      send_numbers(push, 1, 3)
      local count = pull:flush()
      t:run_until(function() return #seen == 3 end)
      assert.equal(3, count)
      assert.same(numbers(1, 3), seen)
      assert.equal(3, #t.errors)
    end))

    it("rejects what is no mask or limit", test(function(t)
      local pull = t:stream("PULL")
      assert.has_error(function() pull:flush("x") end)
      assert.has_error(function() pull:flush(zmq.POLLIN, "x") end)
      assert.has_error(function() pull:flush(zmq.POLLIN, 1.5) end)
    end))
  end)

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
