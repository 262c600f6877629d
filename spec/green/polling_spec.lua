-- green.poll() and the green Poller: only the task waits that polls.
local helper = require("spec.helper")
local fixture = require("spec.green.fixture")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local fails = helper.fails

local test, pair, run = fixture.test, fixture.pair, fixture.run

describe("polling with green", function()
  after_each(helper.cleanup)

  it("a socket returns its events, or 0 when the time is up", test(function(t, loop)
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

  it("a poller returns what is ready, sockets of both kinds and pipes",
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

  it("by many at once, some of which give up, serves the others", test(function(t, loop)
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

  it("ends with ENOTSOCK when a socket is closed", test(function(t, loop, ctx)
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
