-- zmqloop.green: sockets whose calls suspend only the calling task.
local helper = require("spec.helper")
local fixture = require("spec.green.fixture")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local sleep, gather, pcall = zmqloop.sleep, zmqloop.gather, zmqloop.pcall
local fails = helper.fails

local test, pair, run = fixture.test, fixture.pair, fixture.run

describe("a green socket", function()
  after_each(helper.cleanup)

  it("is one of zmqloop.zmq, with its names", test(function(t, _, ctx)
    local socket = ctx:socket("PULL", {rcvhwm = 7, bind = t:address()})
    assert.equal(7, socket:get("rcvhwm"))
    assert.matches("PULL", tostring(socket))
    for name in pairs(zmq) do
      assert.is_not_nil(green[name], name)
    end
    assert.error_matches(function() ctx:socket("PULL", {rcvwhm = 7}) end, "rcvhwm")
    local stream = green.zmqstream.ZMQStream(socket)
    assert.equal(socket, stream.socket)
    assert.equal(zmqloop.IOLoop, green.ioloop.IOLoop)
  end))

  it("comes from a context of its own kind", test(function(_, _, ctx)
    assert.is_not_equal(zmq.Context.instance(), green.Context.instance())
    assert.equal(green.Context.instance(), green.Context.instance())
    assert.is_nil(zmq.Context.instance().socket_class)
    local plain = zmq.Context(ctx:handle()):socket("PULL", {linger = 0})
    assert.is_nil(rawequal(plain.recv, green.Socket.recv) or nil)
    plain:close()
  end))

  it("belongs to the loops there are: instance() and current() are the same",
    test(function(_, loop)
      assert.equal(zmqloop.IOLoop.instance(), green.ioloop.IOLoop.instance())
      assert.equal(loop, green.ioloop.IOLoop.current())
    end))

  for _, transport in ipairs{"inproc", "ipc", "tcp"} do
    it(("waits for what is sent, over %s"):format(transport), test(function(t, loop)
      local pull, push = pair(t, "PULL", "PUSH", nil, transport)
      local got = run(t, function()
        loop:spawn(function()
          sleep(0.005)
          assert.equal(true, push:send_multipart{"hi", "", "you"})
        end)
        return pull:recv_multipart()
      end)
      assert.same({"hi", "", "you"}, got)
    end))
  end

  it("serves tasks in the order in which they wait, frame by frame", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    local order = {}
    for i = 1, 6 do
      loop:spawn(function()
        local frame = pull:recv()
        order[#order + 1] = i .. frame
      end)
    end
    loop:step(0)
    for _, message in ipairs{{"a", "b"}, {"c"}, {"d", "e", "f"}} do
      push:send_multipart(message)
    end
    t:run_until(function() return #order == 6 end)
    assert.same({"1a", "2b", "3c", "4d", "5e", "6f"}, order)
  end))

  it("lets nobody past those who wait already", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    local first = loop:spawn(pull.recv, pull)
    loop:step(0)
    push:send("for the first")
    local second = loop:spawn(pull.recv, pull)
    run(t, function()
      push:send("for the second")
      return gather{first, second}
    end)
    assert.equal("for the first", first:result())
    assert.equal("for the second", second:result())
  end))

  it("loses nothing to a task that gave up", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    local first = loop:spawn(pull.recv_multipart, pull)
    local second = loop:spawn(pull.recv_multipart, pull)
    loop:step(0)
    first:cancel()
    run(t, function()
      push:send_multipart{"the", "whole"}
      assert.same({"the", "whole"}, second:await())
    end)
    assert.is_true(first:cancelled())
    local third = loop:spawn(pull.recv, pull)
    loop:step(0)
    third:cancel()
    loop:step(0)
    push:send("kept")
    assert.equal(zmq.POLLIN, pull:poll(1000))
    assert.equal("kept", pull:recv(zmq.DONTWAIT))
  end))

  it("waits as long as rcvtimeo says", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      pull:set("rcvtimeo", 0)
      fails("EAGAIN", pull:recv())
      pull:set("rcvtimeo", 20)
      local before = loop:time()
      fails("EAGAIN", pull:recv())
      assert.is_true(loop:time() - before >= 0.02)
      pull:setsockopt(zmq.RCVTIMEO, 5000)
      loop:call_later(0.01, function() push:send_multipart{"hi", "there"} end)
      assert.same({"hi", "there"}, pull:recv_multipart())
      pull:set("rcvtimeo", 1)
      fails("EAGAIN", pull:recv_multipart())
    end)
  end))

  it("waits as long as sndtimeo says", test(function(t, loop, ctx)
    local push = ctx:socket("PUSH", {sndtimeo = 20})
    run(t, function()
      local before = loop:time()
      fails("EAGAIN", push:send("nobody is there"))
      assert.is_true(loop:time() - before >= 0.02)
      push:set("sndtimeo", 0)
      fails("EAGAIN", push:send_multipart{"nobody", "is there"})
    end)
  end))

  it("does not wait with DONTWAIT", test(function(t, loop, ctx)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      fails("EAGAIN", pull:recv(zmq.DONTWAIT))
      fails("EAGAIN", pull:recv_multipart(zmq.DONTWAIT))
      push:send("x", zmq.SNDMORE)
      push:send("y", {flags = zmq.DONTWAIT})
      pull:poll()
      assert.same({"x", "y"}, pull:recv_multipart(zmq.DONTWAIT))
      local alone = ctx:socket("PUSH")
      fails("EAGAIN", alone:send("nobody", zmq.DONTWAIT))
      fails("EAGAIN", alone:send("nobody", {flags = zmq.DONTWAIT}))
      fails("EAGAIN", alone:send_multipart({"nobody"}, zmq.DONTWAIT))
    end)
    assert.equal(0, loop:stats().timers)
  end))

  it("sends in order what waited for the peer, and what it was slow to take", test(function(t, loop)
    local push = t.green:socket("PUSH", {sndhwm = 1})
    local address = t:bind(push)
    for i = 1, 50 do
      loop:spawn(function() assert.is_true(push:send("message " .. i)) end)
    end
    loop:step(0)
    local pull = t.green:socket("PULL", {rcvhwm = 1, connect = address})
    run(t, function()
      for i = 1, 50 do
        assert.equal("message " .. i, pull:recv())
        if i % 10 == 0 then sleep(0.001) end
      end
    end)
  end))

  it("sends a message whose peer is gone in the middle to the next one", test(function(t, loop)
    local push = t.green:socket("PUSH")
    local address = t:bind(push)
    local gone = t.green:socket("PULL", {connect = address})
    run(t, function()
      push:poll(nil, zmq.POLLOUT)
      push:send("a", zmq.SNDMORE)
      gone:close()
      assert.is_true(push:send("whole", zmq.SNDMORE))
      local waiting = loop:spawn(push.send_multipart, push, {"and", "another"})
      repeat sleep(0.001) until push:get("events") == 0
      local pull
      loop:call_later(0, function() pull = t.green:socket("PULL", {connect = address}) end)
      assert.is_true(push:send("one"))
      assert.same({"a", "whole", "one"}, pull:recv_multipart())
      assert.same({"and", "another"}, pull:recv_multipart())
      assert.is_true(waiting:await())
    end)
  end))

  it("takes and gives bytes of all kinds, and Frames", test(function(t)
    local a, b = pair(t, "PAIR", "PAIR")
    run(t, function()
      local text = "\195\164\0\255"
      a:send(text)
      assert.equal(text, b:recv())
      a:send_multipart({zmq.Frame(text), "x"}, {copy = false})
      local frames = b:recv_multipart(0, false)
      assert.equal(text, frames[1]:data())
      b:send(frames[1])
      assert.equal(text, a:recv(nil, false):data())
      local tracker = a:send(text, {track = true})
      assert.equal(text, b:recv())
      assert.is_true(tracker:wait(5))
    end)
  end))

  it("refuses what zmq's refuses, and tells as its name", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      helper.raises("bad argument #1 to 'send'", push.send, push, 42)
      helper.raises("bad argument #1 to 'send_multipart'", push.send_multipart, push, "x")
      helper.raises("bad argument #2 to 'send'", push.send, push, "x", "flags")
      helper.raises("bad argument #1 to 'recv'", pull.recv, pull, {})
      helper.raises("bad argument #1 to 'poll'", pull.poll, pull, "x")
      fails("ENOTSUP", push:recv())
      -- also in line, where it is attempted later
      local alone = t.green:socket("PUSH", {bind = t:address()})
      local first = loop:spawn(alone.send, alone, "x")
      local second = loop:spawn(alone.send, alone, 42)
      sleep(0)
      local peer = t.green:socket("PULL", {connect = alone:get("last_endpoint")})
      assert.equal("x", peer:recv())
      assert.is_true(first:await())
      assert.matches("bad argument #1 to 'send'", select(2, pcall(second.await, second)))
    end)
  end))

  it("wakes waiting tasks with ENOTSOCK when it is closed", test(function(t, loop)
    local ways = {
      function(socket) socket:close() end,
      function(_, ctx) ctx:destroy(0) end,
    }
    for _, close in ipairs(ways) do
      local ctx = green.Context{linger = 0}
      local socket = ctx:socket("DEALER")
      local tasks = {
        loop:spawn(socket.recv, socket),
        loop:spawn(socket.recv_multipart, socket),
        loop:spawn(socket.send, socket, "x"),
        loop:spawn(socket.poll, socket),
      }
      loop:step(0)
      close(socket, ctx)
      assert.is_false(tasks[1]:done())
      t:settle()
      for i, task in ipairs(tasks) do
        assert.is_true(task:done(), i)
        fails("ENOTSOCK", task:result())
      end
      assert.error_matches(function() socket:recv() end, "socket is closed")
      ctx:destroy(0)
    end
  end))

  it("tells ETERM when its context ends", test(function(t, loop)
    local ctx = green.Context{linger = 0}
    local socket = ctx:socket("PULL")
    local task = loop:spawn(socket.recv, socket)
    loop:step(0)
    ctx:shutdown()
    t:run_until(function() return task:done() end)
    fails("ETERM", task:result())
    fails("ETERM", run(t, function() return socket:recv() end))
    ctx:destroy(0)
  end))

  it("runs the loop where nothing can be suspended", test(function(t, loop)
    local rep, req = pair(t, "REP", "REQ")
    local served = loop:spawn(function()
      for _ = 1, 2 do
        local request = rep:recv_multipart()
        sleep(0.002)
        rep:send_multipart(request)
      end
    end)
    assert.is_true(req:send("one"))
    assert.equal("one", req:recv())
    assert.is_true(req:send_multipart{"two", "three"})
    assert.equal(zmq.POLLIN, req:poll())
    assert.same({"two", "three"}, req:recv_multipart())
    assert.is_true(served:done())
    req:set("rcvtimeo", 5)
    req:send("nobody answers")
    fails("EAGAIN", req:recv())
    assert.equal(0, req:poll(1))
  end))

  it("can be waited for in callbacks", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    local got
    loop:add_callback(function() got = pull:recv() end)
    loop:call_later(0.005, function() push:send("x") end)
    t:run_until(function() return got end)
    assert.equal("x", got)
  end))

  it("says what to do where the task cannot be suspended", test(function(t)
    local pull = pair(t, "PULL", "PUSH")
    local _, err = pcall(run, t, function()
      return coroutine.wrap(function() return pull:recv() end)()
    end)
    assert.matches("recv: only inside a task; start it with loop:spawn", err)
    _, err = pcall(run, t, function() table.sort({1, 2, 3}, function() return pull:recv() end) end)
    assert.matches("recv: cannot wait here, inside 'sort', which cannot be suspended", err)
    pull:set("rcvtimeo", 1)
    fails("EAGAIN", run(t, function() return pull:recv() end)) -- nothing is left of it
  end))

  it("lets others have their turn while there is always something to do", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH", {sndhwm = 0, rcvhwm = 0})
    local turns, received = 0, 0
    for _ = 1, 3000 do push:send("x", zmq.DONTWAIT) end
    local receiver = loop:spawn(function()
      for i = 1, 3000 do
        pull:recv()
        received = i
      end
    end)
    loop:spawn(function()
      while not receiver:done() do
        if received > 0 then turns = turns + 1 end
        sleep(0)
      end
    end)
    t:run_until(function() return receiver:done() end)
    assert.is_true(turns >= 5, turns)
  end))

  it("works on one loop after the other", test(function(t)
    local rep, req = pair(t, "REP", "REQ")
    for i = 1, 3 do
      local loop = zmqloop.IOLoop(helper.loop_options())
      loop:spawn(function() rep:send(rep:recv()) end)
      assert.equal("hi" .. i, loop:run_sync(function()
        req:send("hi" .. i)
        return req:recv()
      end, 20))
      loop:close()
    end
  end))

  it("is closed with the loop that waits for it, if that is wanted", test(function(_, _, ctx)
    local loop = zmqloop.IOLoop(helper.loop_options())
    local socket = ctx:socket("PULL")
    loop:spawn(socket.recv, socket)
    loop:step(0)
    loop:close(true)
    assert.is_true(socket:closed())
  end))

  it("gives up when the wait for it does", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      local task = loop:spawn(pull.recv, pull)
      local ok, err = pcall(zmqloop.with_timeout, 0.01, task)
      assert.is_false(ok)
      assert.matches("^ETIMEDOUT", err)
      push:send("later")
      assert.equal("later", pull:recv())
      assert.is_false(pcall(task.await, task))
      assert.is_true(task:cancelled())
    end)
  end))

  it("leaves nothing registered when nobody waits", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      push:send("x")
      pull:recv()
    end)
    local before = loop:time()
    assert.is_true(loop:run()) -- returns: nothing is left to wait for
    assert.is_true(loop:time() - before < 10)
    assert.is_nil(next(loop.watches_ or {}))
    loop:add_handler(pull, print, "r") -- anyone else may have it
    loop:remove_handler(pull)
  end))

  it("does not hold up the end of a program", test(function(t)
    local output, status = t:run_child(helper.program("green_sockets_at_the_end"))
    assert.equal(0, status)
    assert.equal("end\n", output)
  end))
end)
