-- The queue of a stream: its limits, draining, and reports of errors.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local test = helper.test

local function noop() end

-- Two connected streams between which little fits, for those that are to wait.
local function narrow(t, transport)
  local pull, push = t:stream("PULL", {rcvhwm = 1}), t:stream("PUSH", {sndhwm = 1})
  assert(push:connect(t:bind(pull, transport)))
  return pull, push
end

-- Sends numbers from `first` on until one is refused; returns it.
local function send_until_refused(push, first)
  local number = first
  while true do
    local accepted, message, name = push:send(tostring(number))
    if not accepted then
      assert.equal("EAGAIN", name)
      assert.matches("^EAGAIN: ", message)
      return number
    end
    number = number + 1
  end
end

describe("the queue of a ZMQStream", function()
  after_each(helper.cleanup)

  describe("with set_send_hwm", function()
    it("refuses with EAGAIN when it is full", test(function(t)
      local push = t:stream("PUSH")
      push:set_send_hwm(3)
      assert.equal(4, send_until_refused(push, 1))
      assert.equal(3, push:queued())
      assert.is_nil(push:send_multipart({"x", "y"}))
      assert.is_nil(push:send("x", {callback = noop}))
      assert.equal(3, push:close())
    end))

    it("takes what goes to the socket at once, however small it is", test(function(t)
      local pull, push = t:streams("PULL", "PUSH")
      push:set_send_hwm(1)
      for i = 1, 100 do assert.is_true(push:send(tostring(i))) end
      assert.equal(0, push:queued())
      assert.is_not_nil(pull)
    end))

    it("counts bytes too, and lets one larger message wait alone", test(function(t)
      local push = t:stream("PUSH")
      push:set_send_hwm(0, 10)
      assert.is_true(push:send_multipart{"12345", "678"})
      assert.is_nil(push:send("abc"))
      assert.is_true(push:send("ab"))
      assert.is_nil(push:send(""))
      local other = t:stream("PUSH")
      other:set_send_hwm(nil, 10)
      assert.is_true(other:send(("x"):rep(100)))
      assert.is_nil(other:send("x"))
    end))

    it("of 0 or nil has no limit; a new limit takes nothing away", test(function(t)
      local push = t:stream("PUSH")
      push:set_send_hwm(2)
      send_until_refused(push, 1)
      push:set_send_hwm(0)
      for _ = 1, 10 do assert.is_true(push:send("x")) end
      push:set_send_hwm(5)
      assert.equal(12, push:queued())
      assert.is_nil(push:send("x"))
      push:set_send_hwm(nil)
      assert.is_true(push:send("x"))
    end))

    it("rejects what is no limit", test(function(t)
      local push = t:stream("PUSH")
      for _, bad in ipairs{-1, 1.5, "x", {}, 2^60} do
        assert.has_error(function() push:set_send_hwm(bad) end)
        assert.has_error(function() push:set_send_hwm(1, bad) end)
      end
    end))

    it("refuses without making any garbage", test(function(t)
      local push = t:stream("PUSH")
      push:set_send_hwm(1)
      push:on_send(noop)
      push:send("x")
      local options, frames = {callback = noop}, {"a", "b"}
      local function refuse()
        for _ = 1, 1000 do
          push:send("y")
          push:send("y", noop)
          push:send("y", options)
          push:send_multipart(frames)
        end
      end
      local garbage
      local rounds = 0
      repeat -- LuaJIT's compiler makes some as well, until it has done with it
        collectgarbage()
        collectgarbage("stop")
        local before = collectgarbage("count")
        refuse()
        garbage, rounds = collectgarbage("count") - before, rounds + 1
        collectgarbage("restart")
      until garbage < 1 or rounds == 20
      assert.is_true(garbage < 1, ("%g KiB"):format(garbage))
      assert.equal(1, push:close())
    end))

    it("a refused message is neither sent nor reported", test(function(t)
      local pull, push = narrow(t)
      push:set_send_hwm(2)
      local reported, received = {}, {}
      push:on_send(function(frames) reported[#reported + 1] = frames[1] end)
      local refused = send_until_refused(push, 1)
      pull:on_recv(function(frames) received[#received + 1] = frames[1] end)
      t:run_until(function() return #received == refused - 1 and #reported == refused - 1 end)
      t:settle()
      assert.equal(refused - 1, #received)
      assert.same(received, reported)
    end))
  end)

  describe("on_drain", function()
    it("tells once after a refusal, when half of the queue has left", test(function(t)
      local pull, push = narrow(t)
      push:set_send_hwm(10)
      local queued_at = {}
      push:on_drain(function(...)
        assert.equal(0, select("#", ...))
        queued_at[#queued_at + 1] = push:queued()
      end)
      send_until_refused(push, 1)
      send_until_refused(push, 1)
      t:settle()
      assert.same({}, queued_at)
      pull:set_batch(1)
      pull:on_recv(noop)
      t:run_until(function() return push:queued() == 0 end)
      assert.equal(1, #queued_at)
      assert.is_true(queued_at[1] <= 5 and queued_at[1] > 0)
    end))

    it("is not called where nothing was refused", test(function(t)
      local pull, push = narrow(t)
      push:set_send_hwm(10)
      push:on_drain(t.expect(noop, 0))
      while push:queued() < 10 do push:send("x") end
      pull:on_recv(noop)
      t:run_until(function() return push:queued() == 0 end)
      t:settle()
    end))

    it("feeds a fast producer through a small queue, losing nothing", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local MESSAGES = 2000
        local pull, push = narrow(t, transport)
        push:set_send_hwm(7)
        local next_number, received, most = 1, 0, 0
        local function feed()
          while next_number <= MESSAGES and push:send(tostring(next_number)) do
            next_number = next_number + 1
            most = math.max(most, push:queued())
          end
        end
        push:on_drain(feed)
        pull:on_recv(function(frames)
          received = received + 1
          assert.equal(tostring(received), frames[1])
        end)
        feed()
        t:run_until(function() return received == MESSAGES end)
        assert.is_true(most <= 7)
      end
    end))

    it("may close the stream, or lose its function", test(function(t)
      local pull, push = narrow(t)
      push:set_send_hwm(1)
      push:on_drain(t.expect(function() push:close() end))
      send_until_refused(push, 1)
      pull:on_recv(noop)
      t:run_until(function() return push:closed() end)
      local other_pull, other = narrow(t)
      other:set_send_hwm(1)
      other:on_drain(t.expect(noop, 0))
      send_until_refused(other, 1)
      other:on_drain(nil)
      other_pull:on_recv(noop)
      t:run_until(function() return other:queued() == 0 end)
      t:settle()
    end))

    it("tells when the limit is raised", test(function(t)
      local push = t:stream("PUSH")
      push:set_send_hwm(1)
      send_until_refused(push, 1)
      push:on_drain(t.expect(noop))
      push:set_send_hwm(100)
      t:settle()
    end))

    it("an error in it goes where errors of callbacks go", test(function(t)
      t:expect_errors()
      local pull, push = narrow(t)
      push:set_send_hwm(1)
      push:on_drain(function() error("in on_drain", 0) end)
      send_until_refused(push, 1)
      pull:on_recv(noop)
      t:run_until(function() return #t.errors > 0 end)
      assert.same({"in on_drain"}, t.errors)
    end))

    it("takes functions and nothing else", test(function(t)
      local push = t:stream("PUSH")
      for _, method in ipairs{"on_drain", "on_error"} do
        for _, bad in ipairs{1, "x", {}, true} do
          assert.has_error(function() push[method](push, bad) end)
        end
        push[method](push, setmetatable({}, {__call = noop}))
        push[method](push, nil)
      end
    end))
  end)

  describe("drain", function()
    it("outside of the loop runs it until all is sent, then closes", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH", {linger = 10000})
      local received = {}
      pull:on_recv(function(frames) received[#received + 1] = frames[1] end)
      for i = 1, 100 do push:send(tostring(i)) end
      push:set_close_callback(t.expect(function(unsent) assert.equal(0, unsent) end))
      push:connect(t:bind(pull))
      assert.equal(0, push:drain(30))
      assert.is_true(push:closed())
      assert.is_false(t.loop:running())
      t:run_until(function() return #received == 100 end)
      assert.equal("100", received[100])
    end))

    it("tells what its time was too short for", test(function(t)
      local push = t:stream("PUSH")
      for i = 1, 5 do push:send(tostring(i)) end
      push:set_close_callback(t.expect(function(unsent) assert.equal(5, unsent) end))
      local started = t.loop:time()
      assert.equal(5, push:drain(0.02))
      assert.is_true(t.loop:time() - started >= 0.02)
      assert.is_true(push:closed())
      assert.equal(0, push:close())
    end))

    it("of 0 seconds hands over what can be sent at once", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      for i = 1, 3 do push:send(tostring(i)) end
      push:connect(t:bind(pull))
      assert.equal(0, push:drain(0))
      assert.equal(1, t:stream("PUSH"):drain(0) == 0 and 1)
      assert.is_not_nil(pull)
    end))

    it("in a callback returns at once; the close callback tells", test(function(t)
      local pull, push = t:stream("PULL"), t:stream("PUSH")
      push:send("1")
      push:send("2")
      push:set_close_callback(t.expect(function(unsent)
        assert.equal(0, unsent)
        t.loop:stop()
      end))
      t.loop:add_callback(t.expect(function()
        assert.is_true(push:drain())
        assert.is_false(push:closed())
        pull:bind("inproc://drained")
        push:connect("inproc://drained")
      end))
      t:start()
      assert.is_true(push:closed())
    end))

    it("refuses new messages with ESHUTDOWN, and goes on receiving", test(function(t)
      local req, rep = t:stream("REQ"), t:stream("REP")
      local answers = 0
      req:on_recv(function()
        answers = answers + 1
        local accepted, message, name = req:send("late")
        assert.is_nil(accepted)
        assert.matches("^ESHUTDOWN: ", message)
        assert.equal("ESHUTDOWN", name)
      end)
      rep:on_recv(function(frames) rep:send_multipart(frames) end)
      for i = 1, 3 do req:send(tostring(i)) end
      req:connect(t:bind(rep))
      assert.equal(0, req:drain(30))
      assert.equal(2, answers) -- the third is on its way
    end))

    it("keeps the stream until it is done, with all reports", test(function(t)
      local pull = t:stream("PULL")
      local endpoint = t:bind(pull)
      local reported, closed = {}, false
      helper.apart(function()
        local push = zmqloop.ZMQStream(t.ctx:socket("PUSH", {linger = 0}), t.loop)
        push:on_send(function(frames, status)
          assert.is_true(status)
          reported[#reported + 1] = frames[1]
        end)
        push:set_close_callback(function() closed = true end)
        push:send("1")
        push:send("2")
        push:connect(endpoint)
        t.loop:add_callback(function() push:drain() end)
      end)
      collectgarbage()
      t:run_until(function()
        collectgarbage()
        return closed
      end)
      assert.same({"1", "2"}, reported)
    end))

    it("ends when the stream is closed meanwhile, or the loop stopped", test(function(t)
      local push = t:stream("PUSH")
      push:send("x")
      t.loop:call_later(0.001, function() push:close() end)
      assert.equal(1, push:drain())
      local other = t:stream("PUSH")
      other:send("x")
      other:send("y")
      t.loop:call_later(0.001, function() t.loop:stop() end)
      assert.equal(2, other:drain())
      assert.is_true(other:closed())
      -- and leaves no stop behind
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
    end))

    it("lets an error that is to be raised through, and can be repeated", test(function(t)
      t.loop:on_error("raise")
      local push = t:stream("PUSH")
      push:send("x")
      t.loop:call_later(0.001, function() error("elsewhere", 0) end)
      local ok, err = pcall(push.drain, push, 20)
      assert.is_false(ok)
      assert.equal("elsewhere", err)
      assert.is_false(push:closed())
      assert.equal(1, push:drain(0))
      -- a later run is not stopped by it
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t.loop:start()
    end))

    it("ends with the context", test(function(t)
      local ctx = zmq.Context()
      local push = zmqloop.ZMQStream(ctx:socket("PUSH"), t.loop)
      push:send("x")
      t.loop:call_later(0.001, function() ctx:shutdown() end)
      assert.equal(1, push:drain())
      assert.is_true(ctx:term())
    end))

    it("rejects what is no time, and a closed stream", test(function(t)
      local push = t:stream("PUSH")
      for _, bad in ipairs{"x", {}, 0/0} do
        assert.has_error(function() push:drain(bad) end)
      end
      push:close()
      local ok, err = pcall(push.drain, push)
      assert.is_false(ok)
      assert.matches("stream is closed", err, 1, true)
    end))
  end)

  describe("on_error", function()
    it("tells of the end of the context, once", test(function(t)
      local ctx = zmq.Context()
      local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
      stream:on_recv(noop)
      stream:on_error(t.expect(function(message, name, ...)
        assert.matches("^ETERM: ", message)
        assert.equal("ETERM", name)
        assert.equal(0, select("#", ...))
      end))
      t.loop:add_callback(function() ctx:shutdown() end)
      t:start()
      t:settle()
      assert.is_false(stream:closed())
      stream:close()
      assert.is_true(ctx:term())
    end))

    it("tells an idle stream too, and not one that was collected", test(function(t)
      local ctx = zmq.Context()
      local idle = zmqloop.ZMQStream(ctx:socket("PUSH"), t.loop)
      idle:on_error(t.expect(noop))
      helper.apart(function()
        zmqloop.ZMQStream(ctx:socket("PUSH"), t.loop):on_error(function() error("collected") end)
      end)
      collectgarbage()
      collectgarbage()
      t.loop:add_callback(function() ctx:shutdown() end)
      t:start()
      idle:close()
      ctx:term()
    end))

    -- A queued message that libzmq refuses when its turn comes.
    local function refused_later(t, stream_options)
      local router = t:stream("ROUTER", {router_mandatory = true, sndhwm = 1})
      local peer = t:socket("DEALER", {routing_id = "peer", rcvhwm = 1})
      local endpoint = t:bind(router)
      peer:connect(endpoint)
      while router:queued() == 0 do
        local sent, _, name = router:send_multipart({"peer", "x"}, stream_options)
        if not sent then
          assert.equal("EHOSTUNREACH", name) -- the peer is not known yet
          router.socket:poll(1)
        end
      end
      assert.is_true(router:send_multipart({"nobody", "x"}, stream_options))
      peer:recv_multipart()
      peer:recv_multipart()
      return router, peer
    end

    it("tells of a queued message that libzmq refuses, if nobody else is told", test(function(t)
      local router, peer = refused_later(t)
      local errors = {}
      router:on_error(function(_, name) errors[#errors + 1] = name end)
      t:run_until(function()
        peer:recv_multipart(zmq.DONTWAIT)
        return router:queued() == 0
      end)
      assert.same({"EHOSTUNREACH"}, errors)
      assert.is_false(router:closed())
    end))

    it("leaves those with a callback to it", test(function(t)
      local refused = {}
      local router, peer = refused_later(t, {callback = function(_, status, _, name)
        if not status then refused[#refused + 1] = name end
      end})
      router:on_error(t.expect(noop, 0))
      t:run_until(function()
        peer:recv_multipart(zmq.DONTWAIT)
        return #refused > 0
      end)
      assert.same({"EHOSTUNREACH"}, refused)
    end))

    it("unset, such a message is an error of a callback: nothing is swallowed", test(function(t)
      t:expect_errors()
      local router, peer = refused_later(t)
      router:on_error(t.expect(noop, 0))
      router:stop_on_err()
      t:run_until(function()
        peer:recv_multipart(zmq.DONTWAIT)
        return #t.errors > 0
      end)
      assert.matches("EHOSTUNREACH", t.errors[1], 1, true)
    end))

    it("an error in it goes where errors of callbacks go", test(function(t)
      t:expect_errors()
      local ctx = zmq.Context()
      local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
      stream:on_error(function() error("in on_error", 0) end)
      t.loop:add_callback(function() ctx:shutdown() end)
      t.loop:start()
      assert.same({"in on_error"}, t.errors)
      stream:close()
      ctx:term()
    end))
  end)
end)

describe("the end of the context that a flush finds", function()
  after_each(helper.cleanup)

  it("ends the next start", test(function(t)
    local ctx = zmq.Context()
    local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    stream:on_recv(noop)
    ctx:shutdown()
    assert.equal(0, stream:flush())
    assert.is_true(t:start())
    stream:close()
    ctx:term()
  end))
end)

describe("ZMQStream:set_priority", function()
  after_each(helper.cleanup)

  -- Streams in the order of creation; each notes its own name.
  local function ranked(t, priorities)
    local order, pushes = {}, {}
    for i, priority in ipairs(priorities) do
      local pull, push = t:streams("PULL", "PUSH")
      pull:set_priority(priority)
      pull:set_batch(1)
      pull:on_recv(function() order[#order + 1] = i end)
      pushes[i] = push
    end
    t:settle()
    return order, pushes
  end

  it("serves the higher first, equal ones in turn, and starves nobody", test(function(t)
    local order, pushes = ranked(t, {0, 5, -3, 5})
    for _ = 1, 3 do
      for _, push in ipairs(pushes) do push:send("x") end
    end
    t:run_until(function() return #order == 12 end)
    assert.same({2, 4, 1, 3, 2, 4, 1, 3, 2, 4, 1, 3}, order)
  end))

  it("may change at any time", test(function(t)
    local order, pushes = ranked(t, {1, 2})
    local third = t:stream("PULL")
    third:set_priority(100)
    third:close()
    pushes[1]:send("x")
    pushes[2]:send("x")
    t:run_until(function() return #order == 2 end)
    assert.same({2, 1}, order)
  end))

  it("rejects what is no priority", test(function(t)
    local pull = t:stream("PULL")
    for _, bad in ipairs{1.5, "x", {}, 1000001, -1000001} do
      assert.has_error(function() pull:set_priority(bad) end)
    end
    assert.has_error(function() pull:set_priority(nil) end)
    pull:set_priority(-1000000)
  end))
end)
