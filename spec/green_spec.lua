-- zmqloop.green: sockets whose calls suspend only the calling task.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local sleep, gather, pcall = zmqloop.sleep, zmqloop.gather, zmqloop.pcall
local fails = helper.fails

-- A test with a context whose sockets are green, and with its loop as the current one.
local function test(body)
  return helper.test(function(t)
    local ctx = green.Context{linger = 0}
    t:keep{close = function() ctx:destroy(0) end}
    t.loop:make_current()
    t:keep{close = zmqloop.IOLoop.clear_current}
    rawset(t, "green", ctx)
    return body(t, t.loop, ctx)
  end)
end

-- Two green sockets, the first bound, the second connected.
local function pair(t, bound, connected, options, transport)
  local a, b = t.green:socket(bound, options), t.green:socket(connected, options)
  assert(b:connect(t:bind(a, transport)))
  return a, b
end

-- Runs fn as a task, and the loop until it is done.
local function run(t, fn)
  local first, second, third = t.loop:run_sync(fn, 5)
  t:raise_errors()
  return first, second, third
end

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

  it("comes from a context of its own kind [168]", test(function(_, _, ctx)
    assert.is_not_equal(zmq.Context.instance(), green.Context.instance())
    assert.equal(green.Context.instance(), green.Context.instance())
    assert.is_nil(zmq.Context.instance().socket_class)
    local plain = zmq.Context(ctx:handle()):socket("PULL", {linger = 0})
    assert.is_nil(rawequal(plain.recv, green.Socket.recv) or nil)
    plain:close()
  end))

  it("belongs to the loops there are: instance() and current() are the same [159]",
    test(function(_, loop)
      assert.equal(zmqloop.IOLoop.instance(), green.ioloop.IOLoop.instance())
      assert.equal(loop, green.ioloop.IOLoop.current())
    end))

  for _, transport in ipairs{"inproc", "ipc", "tcp"} do
    it(("waits for what is sent, over %s [169]"):format(transport), test(function(t, loop)
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

  it("serves who waits in order, frame by frame [170]", test(function(t, loop)
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

  it("loses nothing to one who gave up [171, 177]", test(function(t, loop)
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

  it("waits as long as rcvtimeo says [172, 197]", test(function(t, loop)
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

  it("waits as long as sndtimeo says [173]", test(function(t, loop, ctx)
    local push = ctx:socket("PUSH", {sndtimeo = 20})
    run(t, function()
      local before = loop:time()
      fails("EAGAIN", push:send("nobody is there"))
      assert.is_true(loop:time() - before >= 0.02)
      push:set("sndtimeo", 0)
      fails("EAGAIN", push:send_multipart{"nobody", "is there"})
    end)
  end))

  it("does not wait with DONTWAIT [174, 186]", test(function(t, loop, ctx)
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

  it("takes and gives bytes of all kinds, and Frames [175]", test(function(t)
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

  it("wakes with ENOTSOCK who waits when it is closed", test(function(t, loop)
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

  it("works on one loop after the other [188]", test(function(t)
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

  it("is closed with the loop that waits for it, if that is wanted [183]", test(function(_, _, ctx)
    local loop = zmqloop.IOLoop(helper.loop_options())
    local socket = ctx:socket("PULL")
    loop:spawn(socket.recv, socket)
    loop:step(0)
    loop:close(true)
    assert.is_true(socket:closed())
  end))

  it("gives up when the wait for it does [196]", test(function(t, loop)
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

  it("does not hold up the end of a program [192]", test(function(t)
    local output, status = t:run_child([[
      local green = require("zmqloop.green")
      local loop = new_loop()
      local socket = green.Context():socket("DEALER")
      for _ = 1, 3 do
        loop:spawn(socket.recv, socket)
        loop:spawn(socket.send, socket, "x")
      end
      loop:step(0)
      loop:call_later(0.01, function() print("end") os.exit(0, true) end)
      loop:start()
    ]])
    assert.equal(0, status)
    assert.equal("end\n", output)
  end))
end)

describe("polling with green", function()
  after_each(helper.cleanup)

  it("a socket returns its events, or 0 when the time is up [181, 194]", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    run(t, function()
      assert.equal(0, pull:poll(0))
      assert.equal(0, pull:poll(1))
      assert.equal(zmq.POLLOUT, push:poll(nil, zmq.POLLOUT))
      loop:call_later(0.005, function() push:send("x") end)
      assert.equal(zmq.POLLIN, pull:poll(10000))
      assert.equal(zmq.POLLIN, pull:poll(10000))
      assert.equal("x", pull:recv(zmq.DONTWAIT))
    end)
  end))

  it("a poller returns what is ready, sockets of both kinds and pipes [182, 184, 193, 195]",
    test(function(t, loop)
      local pull, push = pair(t, "PULL", "PUSH")
      local plain = t:socket("PULL")
      local plain_push = t:socket("PUSH", {connect = t:bind(plain)})
      local reader, writer = t:pipe()
      local poller = green.Poller()
      poller:register(pull, zmq.POLLIN)
      poller:register(plain, zmq.POLLIN)
      poller:register(reader, zmq.POLLIN)
      assert.matches("3 registered", tostring(poller))
      run(t, function()
        assert.same({}, poller:poll(0))
        assert.same({}, poller:poll(2))
        local ready
        for _, case in ipairs{
          {pull, function() push:send("x") end, function() pull:recv() end},
          {plain, function() plain_push:send("x") end, function() plain:recv(zmq.DONTWAIT) end},
          {reader, function() writer:write("x") end, function() reader:read(1) end},
        } do
          loop:call_later(0.002, case[2])
          ready = poller:poll(10000)
          assert.same({{case[1], zmq.POLLIN}}, ready)
          case[3]()
        end
        poller:modify(pull, zmq.POLLIN)
        poller:register(push, zmq.POLLOUT)
        assert.same({{push, zmq.POLLOUT}}, poller:poll())
        poller:unregister(push)
        assert.same({}, poller:poll(1))
      end)
    end))

  it("by many at once, some of whom give up, serves the others [190]", test(function(t, loop)
    local pull, push = pair(t, "PULL", "PUSH")
    local tasks = {}
    for i = 1, 10 do tasks[i] = loop:spawn(pull.poll, pull) end
    tasks[11] = loop:spawn(pull.recv, pull)
    loop:step(0)
    for i = 1, 10, 2 do tasks[i]:cancel() end
    loop:step(0)
    push:send("x")
    push:send("y")
    t:run_until(function() return tasks[10]:done() and tasks[11]:done() end)
    for i = 2, 10, 2 do assert.equal(zmq.POLLIN, tasks[i]:result()) end
    assert.equal("x", tasks[11]:result())
    t:settle()
    assert.is_nil(next(loop.watches_))
  end))

  it("ends with ENOTSOCK when a socket is closed [187]", test(function(t, loop, ctx)
    local socket, other = ctx:socket("PULL"), ctx:socket("PULL")
    local poller = green.Poller()
    poller:register(socket, zmq.POLLIN)
    poller:register(other, zmq.POLLIN)
    local task = loop:spawn(poller.poll, poller)
    loop:step(0)
    socket:close()
    t:settle()
    fails("ENOTSOCK", task:result())
    assert.error_matches(function() poller:poll(0) end, "closed")
    poller:unregister(socket)
    assert.same({}, poller:poll(0))
  end))

  it("ends one way or the other when a socket is closed and another one is ready",
    test(function(t, loop)
      for _ = 1, 10 do
        local closed = t.green:socket("PULL")
        local poller = green.Poller()
        poller:register(closed, zmq.POLLIN)
        local pushes = {}
        for i = 1, 3 do
          local pull
          pull, pushes[i] = pair(t, "PULL", "PUSH")
          if i == 2 then
            poller:register(pull, zmq.POLLIN)
          else
            loop:spawn(function()
              pull:recv()
              closed:close()
            end)
          end
        end
        local task = loop:spawn(poller.poll, poller)
        loop:step(0)
        for i = 1, 3 do pushes[i]:send("x", zmq.DONTWAIT) end
        t:run_until(function() return task:done() end)
        local ready, _, name = task:result()
        assert.is_true(ready and #ready == 1 or name == "ENOTSOCK")
        t:settle()
      end
    end))

  it("runs the loop where nothing can be suspended", test(function(t)
    local pull, push = pair(t, "PULL", "PUSH")
    local poller = green.Poller()
    poller:register(pull, zmq.POLLIN)
    assert.same({}, poller:poll(2))
    push:send("x")
    assert.same({{pull, zmq.POLLIN}}, poller:poll(1000))
  end))
end)

describe("green patterns", function()
  after_each(helper.cleanup)

  it("PAIR, REQ and REP, several messages and large ones [199, 200]", test(function(t, loop)
    for _, types in ipairs{{"PAIR", "PAIR"}, {"REP", "REQ"}} do
      local server, client = pair(t, types[1], types[2], nil, "ipc")
      local large = ("x"):rep(1000000)
      loop:spawn(function()
        while true do
          local frames = server:recv_multipart()
          if not frames then return end
          server:send_multipart(frames)
        end
      end)
      run(t, function()
        for _, message in ipairs{{"one"}, {"two", ""}, {large, "end"}} do
          client:send_multipart(message)
          assert.same(message, client:recv_multipart())
        end
        if types[2] == "REQ" then fails("EFSM", client:recv()) end
      end)
      server:close()
      t:settle()
    end
  end))

  it("PUB and SUB, ROUTER and DEALER [201]", test(function(t)
    local pub, sub = pair(t, "XPUB", "SUB")
    local router, dealer = pair(t, "ROUTER", "DEALER", {routing_id = "me"})
    run(t, function()
      sub:subscribe("a")
      assert.equal("\1a", pub:recv())
      pub:send("b is not wanted")
      pub:send("a is")
      assert.equal("a is", sub:recv())
      dealer:send_multipart{"x", "y"}
      local message = router:recv_multipart()
      assert.same({"me", "x", "y"}, message)
      router:send_multipart(message)
      assert.same({"x", "y"}, dealer:recv_multipart())
    end)
  end))

  it("ROUTER that has to reach its peer waits until it can", test(function(t, loop)
    local router = t.green:socket("ROUTER", {router_mandatory = true, sndhwm = 1})
    local address = t:bind(router)
    local dealer = t.green:socket("DEALER", {routing_id = "d", rcvhwm = 1, connect = address})
    local other = t.green:socket("DEALER", {connect = address}) -- can be sent to all the time
    run(t, function()
      fails("EHOSTUNREACH", router:send_multipart{"nobody", "x"})
      dealer:send("hello")
      other:send("hello")
      router:recv_multipart()
      router:recv_multipart()
      local sent = 0
      local task = loop:spawn(function()
        for i = 1, 20 do
          assert(router:send_multipart{"d", tostring(i)})
          sent = i
        end
      end)
      sleep(0.01)
      assert.is_true(sent < 20)
      local before = loop:stats().iterations
      sleep(0.05)
      assert.is_true(loop:stats().iterations - before < 200, "the loop spins")
      for i = 1, 20 do assert.equal(tostring(i), dealer:recv()) end
      task:await()
    end)
  end))
end)

describe("green.device()", function()
  after_each(helper.cleanup)

  it("relays requests and replies until it is cancelled [198]", test(function(t, loop, ctx)
    local front, back = ctx:socket("ROUTER"), ctx:socket("DEALER")
    local front_address, back_address = t:bind(front), t:bind(back)
    local device = loop:spawn(green.device, zmq.QUEUE, front, back)
    local rep = ctx:socket("REP", {connect = back_address})
    loop:spawn(function()
      while true do rep:send("re: " .. rep:recv()) end
    end)
    run(t, function()
      local clients = {}
      for i = 1, 5 do
        clients[i] = loop:spawn(function()
          local req = ctx:socket("REQ", {connect = front_address})
          req:send(tostring(i))
          return req:recv()
        end)
      end
      assert.same({"re: 1", "re: 2", "re: 3", "re: 4", "re: 5"}, gather(clients))
    end)
    device:cancel()
    t:settle()
    assert.is_true(device:cancelled())
    front:close()
  end))

  it("relays from a socket to itself, and returns when that is closed", test(function(t, loop)
    local rep, req = pair(t, "REP", "REQ")
    local device = loop:spawn(green.device, zmq.QUEUE, rep)
    run(t, function()
      req:send("hi")
      assert.equal("hi", req:recv())
    end)
    rep:close()
    t:run_until(function() return device:done() end)
    fails("ENOTSOCK", device:result())
  end))

  it("relays one way where there is no other, with a copy", test(function(t, loop, ctx)
    local pull, push = pair(t, "PULL", "PUSH")
    local out, sink = pair(t, "PUSH", "PULL")
    local capture, copies = pair(t, "PUSH", "PULL")
    loop:spawn(green.proxy, pull, out, capture)
    run(t, function()
      push:send_multipart{"a", "b"}
      assert.same({"a", "b"}, sink:recv_multipart())
      assert.same({"a", "b"}, copies:recv_multipart())
    end)
    ctx:destroy(0)
    t:settle()
  end))

  it("wants a type and green sockets", test(function(t, _, ctx)
    local socket = ctx:socket("PULL")
    helper.raises("got 42", green.device, 42, socket)
    helper.raises("got 'x'", green.device, "x", socket)
    helper.raises("bad argument #2 to 'device' (green socket expected, got one of zmqloop.zmq)",
      green.device, zmq.QUEUE, t:socket("PULL"))
    helper.raises("bad argument #2 to 'proxy'", green.proxy, socket)
  end))
end)

describe("tasks that wait for green sockets", function()
  after_each(helper.cleanup)

  it("are kept while the loop waits for them, and collected with it", test(function(_, _, ctx)
    local weak = setmetatable({}, {__mode = "v"})
    local done
    helper.apart(function()
      local loop = zmqloop.IOLoop(helper.loop_options())
      local pull = ctx:socket("PULL")
      local address = "inproc://kept"
      assert(pull:bind(address))
      loop:spawn(function()
        local mine = {}
        weak.mine = mine
        local push = ctx:socket("PUSH", {connect = address})
        loop:call_later(0.01, function()
          push:send("x")
          push:close()
        end)
        done = pull:recv()
        pull:recv() -- for ever
        return mine
      end)
      for _ = 1, 50 do
        loop:step(0.005)
        collectgarbage()
        collectgarbage()
      end
      assert.equal("x", done)
      assert.is_table(weak.mine)
    end)
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(weak.mine)
  end))

  it("lose and double nothing wherever they are cancelled", test(function(t, loop)
    local Task = require("zmqloop.task")
    -- A request/reply with a client, a server and a device; in run `n` the client is cancelled
    -- at its n-th point of waiting.
    local function scenario(point)
      local rep, req = pair(t, "REP", "REQ")
      local log, points = {}, 0
      local function reach(name)
        log[#log + 1] = name
        points = points + 1
        return points == point and Task.current_task("test")
      end
      local server = loop:spawn(function()
        while true do
          local frames = rep:recv_multipart()
          if not frames then return end
          log[#log + 1] = "served " .. frames[1]
          sleep(0)
          rep:send_multipart(frames)
        end
      end)
      local client
      client = loop:spawn(function()
        for i = 1, 3 do
          if reach("poll") then client:cancel() end
          req:poll(nil, zmq.POLLOUT)
          if reach("send") then client:cancel() end
          sleep(0)
          req:send("request " .. i)
          if reach("recv") then client:cancel() end
          log[#log + 1] = "got " .. req:recv()
        end
      end)
      t:run_until(function() return client:done() end)
      t:settle()
      local cancelled = client:cancelled()
      req:close()
      rep:close()
      t:settle()
      assert.is_true(server:done())
      assert.is_nil(next(loop.watches_ or {}))
      return cancelled, log
    end
    local point = 0
    repeat
      point = point + 1
      local cancelled, log = scenario(point)
      local seen = {}
      for _, line in ipairs(log) do
        assert.is_nil(line:find("%d") and seen[line], line)
        seen[line] = true
      end
    until not cancelled
    assert.equal(10, point)
  end))

  -- The memory of a suspended coroutine that does nothing else, a few calls deep.
  local function bare_bytes(measure)
    local function yield(depth)
      if depth == 0 then return coroutine.yield() end
      local result = yield(depth - 1)
      return result
    end
    local list, before = {}, measure()
    for i = 1, 100 do
      list[i] = coroutine.create(function() return i, yield(5) end)
      coroutine.resume(list[i])
    end
    return (measure() - before) / 100
  end

  -- ZMQLOOP_TASKS=100000 for more.
  it("get their own replies, however many they are, and leave no memory", test(function(t, loop)
    local count = tonumber(os.getenv("ZMQLOOP_TASKS"))
      or os.getenv("ZMQLOOP_GC") == "stress" and 100 or 10000
    local router, dealer = pair(t, "ROUTER", "DEALER", {rcvhwm = 0, sndhwm = 0}, "ipc")
    dealer:set("rcvtimeo", 600000)
    local function measure()
      for _ = 1, 4 do collectgarbage() end
      return collectgarbage("count") * 1024
    end
    local waiting
    local spawn = zmqloop.IOLoop.spawn -- the helper's keeps all tasks

    local function serve(n)
      for i = 1, n do
        local message = router:recv_multipart()
        if i == 1 then
          sleep(0) -- all are waiting now
          waiting = measure()
        end
        router:send_multipart(message)
      end
    end

    local function round(n)
      local right = 0
      spawn(loop, serve, n)
      for i = 1, n do
        spawn(loop, function()
          dealer:send_multipart{"", tostring(i)}
          local reply = dealer:recv_multipart()
          if reply[2] == tostring(i) then right = right + 1 end
        end)
      end
      t:run_until(function() return right == n end, 600)
      t:settle()
    end

    round(10) -- what is made once
    local before = measure()
    round(count)
    local each, after = (waiting - before) / count - bare_bytes(measure), measure()
    local left
    for _ = 1, 5 do -- where more wait at once than before, a table has grown, for good
      round(count)
      after, left = measure(), measure() - after
      if left < 100000 then break end
    end
    if os.getenv("ZMQLOOP_TASKS") then
      print(("%d tasks: %.0f bytes each beside a coroutine's; %.0f left in all"):format(count,
        each, left))
    end
    assert.is_true(each < 2048, "a waiting task takes " .. each)
    assert.is_true(left < 100000, "memory is left: " .. left)
  end))
end)
