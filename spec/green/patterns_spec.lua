-- Patterns and devices of green sockets.
local helper = require("spec.helper")
local fixture = require("spec.green.fixture")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local sleep, gather = zmqloop.sleep, zmqloop.gather
local fails = helper.fails

local test, pair, run = fixture.test, fixture.pair, fixture.run

describe("green patterns", function()
  after_each(helper.cleanup)

  it("PAIR, REQ and REP, several messages and large ones", test(function(t, loop)
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

  it("PUB and SUB, ROUTER and DEALER", test(function(t)
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

  it("relays requests and replies until it is cancelled", test(function(t, loop, ctx)
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
