-- Known defects of PyZMQ's streams, and what its own tests expect. The titles state the defect, by
-- its number among those we know of; each test fails on a stream that behaves as PyZMQ's.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local ZMQStream = zmqloop.ZMQStream
local test = helper.test

local function noop() end

local function send_numbers(sender, first, last)
  for i = first, last do assert.is_true(sender:send(tostring(i))) end
end

describe("a defect of the original", function()
  after_each(helper.cleanup)

  it("D1: an error in on_recv with more messages waiting never wedges the stream",
    test(function(t)
      t:expect_errors()
      local pull, push = t:streams("PULL", "PUSH")
      local seen = {}
      pull:on_recv(function(frames)
        seen[#seen + 1] = frames[1]
        if #seen == 1 then error("first", 0) end
      end)
      send_numbers(push, 1, 3)
      t:run_until(function() return #seen == 3 end)
      assert.same({"1", "2", "3"}, seen)
      assert.same({"first"}, t.errors)
      push:send("4")
      t:run_until(function() return #seen == 4 end)
    end))

  it("D2: raw calls on the socket in another callback never lose a message", test(function(t)
    local pull, push = t:streams("PAIR", "PAIR", "tcp")
    local trigger, pull_trigger = t:streams("PUSH", "PULL")
    local acts = {
      function() pull.socket:get("events") end,
      function() pull.socket:send("raw") end,
      function() pull.socket:poll(0) end,
      function() pull.socket:get("rcvmore") end,
    }
    local seen = 0
    pull:on_recv(function() seen = seen + 1 end)
    pull_trigger:on_recv(function(frames)
      push.socket:send("message")
      pull.socket:poll(50) -- has arrived; its signal is read away
      acts[tonumber(frames[1])]()
    end)
    for act = 1, #acts do
      trigger:send(tostring(act))
      t:run_until(function() return seen == act end)
    end
  end))

  it("D3: a queued send never blocks the loop, though the last peer leaves just before",
    test(function(t)
      local child = t:child(helper.program("last_peer_leaves"), nil, 10)
      assert.equal("not blocked\n", (child:finish()))
    end))

  it("D4: flush keeps to its limit, 0 is none, and replies made in it are sent", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local stream = t:keep(ZMQStream(a, t.loop))
    stream:on_recv(function(frames) stream:send_multipart(frames) end)
    for i = 1, 4 do b:send(tostring(i)) end
    assert.equal(0, stream:flush(zmq.POLLIN + zmq.POLLOUT, 0))
    assert.is_nil((b:recv(zmq.DONTWAIT)))
    assert.equal(1, stream:flush(zmq.POLLIN + zmq.POLLOUT, 1))
    assert.equal("1", (b:recv(zmq.DONTWAIT)))
    assert.is_nil((b:recv(zmq.DONTWAIT)))
    assert.equal(3, stream:flush())
    for i = 2, 4 do assert.equal(tostring(i), (b:recv(zmq.DONTWAIT))) end
  end))

  -- A stream that has `queued` messages in its queue, because its peer has room for no more.
  local function full_stream(t, queued)
    local a, b = t:socket("PAIR", {sndhwm = 1}), t:socket("PAIR", {rcvhwm = 1})
    assert(b:connect(t:bind(a)))
    local stream = t:keep(ZMQStream(a, t.loop))
    while stream:queued() == 0 do assert.is_true(stream:send("filler")) end
    assert(b:recv(zmq.DONTWAIT))
    stream:flush(zmq.POLLOUT)
    while stream:queued() < queued do assert.is_true(stream:send("queued")) end
    return stream, b, function()
      while b:recv(zmq.DONTWAIT) do end -- makes room
    end
  end

  it("D4: replies that have to wait are sent in the same flush", test(function(t)
    local stream, b, make_room = full_stream(t, 0)
    stream:on_recv(t.expect(function()
      assert.is_true(stream:send("reply"))
      assert.equal(1, stream:queued())
      make_room()
    end))
    b:send("request")
    assert.equal(2, stream:flush())
    assert.equal("reply", b:recv(zmq.DONTWAIT))
  end))

  it("D4: a limit is one for messages received and sent", test(function(t)
    local stream, b, make_room = full_stream(t, 3)
    local received = 0
    stream:on_recv(function() received = received + 1 end)
    for _ = 1, 2 do b:send("request") end
    make_room()
    assert.equal(2, stream:flush(zmq.POLLIN + zmq.POLLOUT, 2))
    assert.equal(2, received + 3 - stream:queued())
  end))

  it("D5: a callback of one message is told of no other, earlier or later", test(function(t)
    local pull, push = t:stream("PULL"), t:stream("PUSH")
    local own, all = {}, {}
    push:on_send(function(frames) all[#all + 1] = frames[1] end)
    push:send("earlier")
    push:send("mine", {callback = function(frames) own[#own + 1] = frames[1] end})
    push:send("later")
    push:connect(t:bind(pull))
    t:run_until(function() return #all == 3 end)
    assert.same({"mine"}, own)
    assert.same({"earlier", "mine", "later"}, all)
  end))

  it("D6: close counts what it drops, nothing is left sending, and send raises then",
    test(function(t)
      local push = t:stream("PUSH")
      send_numbers(push, 1, 3)
      push:set_close_callback(t.expect(function(unsent) assert.equal(3, unsent) end))
      assert.is_true(push:sending())
      assert.equal(3, push:close())
      assert.is_false(push:sending())
      assert.equal(0, push:queued())
      assert.has_error(function() push:send("x") end, "stream is closed")
      assert.is_false(push:sending())
    end))

  it("D7: what cannot be sent raises at once, and costs no other message", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local seen = {}
    pull:on_recv(function(frames) seen[#seen + 1] = frames[1] end)
    push:send("before")
    for _, bad in ipairs{5, true, {}, noop} do
      assert.has_error(function() push:send(bad) end)
      assert.has_error(function() push:send_multipart{"good", bad} end)
      assert.has_error(function() push:send_multipart{bad, "good"} end)
    end
    assert.has_error(function() push:send(nil) end)
    assert.has_error(function() push:send_multipart{} end)
    assert.has_error(function() push:send_multipart("x") end)
    push:send("after")
    t:run_until(function() return #seen == 2 end)
    assert.same({"before", "after"}, seen)
  end))

  it("D15: a stream that another one's callback pauses keeps its ready message", test(function(t)
    local a, push_a = t:streams("PULL", "PUSH")
    local b, push_b = t:streams("PULL", "PUSH")
    local seen, paused = {}, nil
    local function receive(name, other)
      return function()
        seen[#seen + 1] = name
        if not paused then
          paused = other
          other:stop_on_recv()
        end
      end
    end
    a:on_recv(receive("a", b))
    b:on_recv(receive("b", a))
    t:settle()
    push_a:send("x")
    push_b:send("x")
    t:run_until(function() return paused end)
    t:settle()
    assert.equal(1, #seen)
    paused:on_recv(function() seen[#seen + 1] = "resumed" end)
    t:run_until(function() return #seen == 2 end)
    assert.equal("resumed", seen[2])
  end))

  it("D16: a socket is registered once: a second stream or handler is refused", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(t.expect(function() t.loop:stop() end))
    assert.has_error(function() ZMQStream(pull.socket, t.loop) end)
    assert.has_error(function() t.loop:add_handler(pull.socket, noop, t.loop.READ) end)
    push:send("the first one has it")
    t:start()
    local watched = t:socket("PULL")
    t.loop:add_handler(watched, noop, t.loop.READ)
    assert.has_error(function() t.loop:add_handler(watched, noop, t.loop.READ) end)
    assert.has_error(function() ZMQStream(watched, t.loop) end)
    t.loop:remove_handler(watched)
    t:keep(ZMQStream(watched, t.loop)):close()
  end))
end)

describe("as PyZMQ's own tests of streams", function()
  after_each(helper.cleanup)

  it("callbacks are callable: functions, callable tables, nothing else", test(function(t)
    local stream = t:stream("PUSH")
    for _, method in ipairs{
      "on_recv", "on_recv_stream", "on_send", "on_send_stream", "on_error", "on_drain",
      "set_close_callback",
    } do
      stream[method](stream, noop)
      stream[method](stream, setmetatable({}, {__call = noop}))
      for _, bad in ipairs{1, "x", zmq, true} do
        assert.has_error(function() stream[method](stream, bad) end)
      end
    end
  end))

  it("a message sent before on_recv is delivered, as the list that was sent",
    test(function(t)
      local pull, push = t:streams("PULL", "PUSH", "tcp")
      push:send_multipart{"basic", ""}
      pull:on_recv(t.expect(function(frames)
        assert.same({"basic", ""}, frames)
        t.loop:stop()
      end))
      t:start()
    end))

  it("a message sent long after on_recv wakes the loop", test(function(t)
    local pull, push = t:streams("PULL", "PUSH", "tcp")
    pull:on_recv(t.expect(function(frames)
      assert.same({"wake"}, frames)
      t.loop:stop()
    end))
    t.loop:call_later(0.1, function() push:send("wake") end)
    t:start()
  end))

  it("a callback may wait in a coroutine, and completes", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(t.expect(function(frames)
      local co = coroutine.create(t.expect(function()
        local self = coroutine.running()
        t.loop:call_later(0.01, function() assert(coroutine.resume(self)) end)
        coroutine.yield()
        assert.same({"async"}, frames)
        t.loop:stop()
      end))
      assert(coroutine.resume(co))
    end))
    push:send("async")
    t:start()
  end))

  it("an error in a callback is reported with the callback, and the next is delivered",
    test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      local reported, seen = {}, 0
      local function fail()
        seen = seen + 1
        if seen == 2 then t.loop:stop() end
        error("uncaught", 0)
      end
      pull:on_recv(fail)
      t.loop:on_error(nil)
      t.loop.handle_callback_exception = function(_, callback, err)
        reported[#reported + 1] = {callback, err}
      end
      send_numbers(push, 1, 2)
      t.loop:start()
      assert.same({{fail, "uncaught"}, {fail, "uncaught"}}, reported)
      assert.is_false(pull:closed())
    end))

  it("a socket of another kind is shadowed: the same zmq socket below", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local wrapped = {handle = function() return a:handle() end}
    local stream = t:keep(ZMQStream(wrapped, t.loop))
    stream:on_recv(t.expect(function() t.loop:stop() end))
    b:send("x")
    t:start()
    assert.equal(a:get("type"), stream:get("type"))
  end))

  it("a socket closed behind its stream does no harm", test(function(t)
    for _, socket_first in ipairs{true, false} do
      local pull, push = t:streams("PULL", "PUSH")
      pull:on_recv(noop)
      send_numbers(push, 1, 10)
      t.loop:call_later(0.01, function()
        if socket_first then pull.socket:close() end
        t.loop:call_later(0.01, function() t.loop:stop() end)
      end)
      t:start()
      if socket_first then assert.is_true(pull:closed()) end
      assert.equal(0, pull:close())
      assert.is_true(pull:closed())
    end
  end))
end)
