local elsewhere = require("elsewhere")
local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

-- Runs source in another thread, with zmq and ctx, borrowed from the test's.
local function thread(t, source)
  return elsewhere.thread(([[
    package.path, package.cpath = %q, %q
    local zmq = require("zmqloop").zmq
    local ctx = assert(zmq.Context(...))
    %s
  ]]):format(package.path, package.cpath, source), t.ctx:handle())
end

local function joined(worker)
  local ok, result = worker:join()
  assert.is_true(ok, result)
  return result
end

describe("zmq.proxy", function()
  after_each(helper.cleanup)

  it("obeys a command before it relays what came after it", test(function(t)
    for _, kind in ipairs{"PAUSE", "TERMINATE"} do
      local front, push = t:pair("PULL", "PUSH")
      local back, pull = t:pair("PUSH", "PULL")
      local control, boss = t:pair("PAIR", "PAIR")
      boss:send(kind)
      push:send("late")
      boss:send("TERMINATE")
      assert.is_true(zmq.proxy(front, back, nil, control))
      fails("EAGAIN", pull:recv(zmq.DONTWAIT))
    end
  end))

  it("hands requests on and replies back, until it is told to end", test(function(t)
    local frontend, backend = t:socket("ROUTER"), t:socket("DEALER")
    local capture, control = t:socket("PUB"), t:socket("PAIR")
    local front, back = t:bind(frontend), t:bind(backend)
    local tapped, commands = t:bind(capture), t:bind(control)
    local worker = thread(t, ([[
      local tap = ctx:socket("SUB", {subscribe = "", connect = %q})
      local rep = ctx:socket("REP", {connect = %q})
      local req = ctx:socket("REQ", {connect = %q})
      local control = ctx:socket("PAIR", {connect = %q})
      local taps = 0
      for i = 1, 50 do
        assert(req:send_multipart{tostring(i), "", ("x"):rep(i * 10)})
        assert(rep:send_multipart(rep:recv_multipart()))
        local answer = req:recv_multipart()
        assert(#answer == 3 and answer[1] == tostring(i) and answer[3] == ("x"):rep(i * 10))
      end
      assert(control:send("STATISTICS"))
      local statistics = control:recv_multipart()
      assert(#statistics == 8 and #statistics[1] == 8)
      assert(statistics[1] == statistics[3] and statistics[5] == statistics[1])
      assert(statistics[1]:byte(1) + statistics[1]:byte(8) == 50)
      assert(statistics[2] == statistics[8] and statistics[4] == statistics[6])
      assert(control:send("PAUSE") and control:send("nonsense"))
      assert(control:send("STATISTICS") and #control:recv_multipart() == 8)
      assert(req:send("while it pauses"))
      assert(rep:poll(20) == 0)
      assert(control:send("RESUME"))
      assert(rep:recv() == "while it pauses")
      assert(rep:send("answer") and req:recv() == "answer")
      assert(control:send("TERMINATE"))
      while tap:poll(1000) ~= 0 do
        tap:recv_multipart()
        taps = taps + 1
        if taps == 102 then break end
      end
      ctx:destroy(0)
      return tostring(taps)
    ]]):format(tapped, back, front, commands))
    -- The tap's subscription is there before the first message: inproc.
    local ok, message = zmq.proxy(frontend, backend, capture, control)
    assert.is_true(ok, message)
    assert.equal("102", joined(worker))
  end))

  it("ends with ETERM when the context does", test(function(t)
    local pull, push = t:socket("PULL"), t:socket("PUSH")
    t:bind(pull)
    t:bind(push)
    local worker = thread(t, [[
      zmq.Poller():poll(10)
      return "waited"
    ]])
    t.ctx:shutdown()
    fails("ETERM", zmq.proxy(pull, push))
    assert.equal("waited", joined(worker))
  end))

  it("waits for a full side without losing or reordering", test(function(t)
    local pull, push = t:socket("PULL", {rcvhwm = 1}), t:socket("PUSH", {sndhwm = 1})
    local control = t:socket("REP")
    local front, back, commands = t:bind(pull), t:bind(push), t:bind(control)
    local worker = thread(t, ([[
      local source = ctx:socket("PUSH", {sndhwm = 1, connect = %q, linger = 0})
      local sink = ctx:socket("PULL", {rcvhwm = 1, connect = %q})
      local control = ctx:socket("REQ", {connect = %q})
      local sent, received = 0, 0
      local poller = zmq.Poller()
      poller:register(source, zmq.POLLOUT)
      poller:register(sink, zmq.POLLIN)
      while received < 1000 do
        poller:poll()
        if sent < 1000 and source:send_multipart({tostring(sent + 1), "y"}, zmq.DONTWAIT) then
          sent = sent + 1
        elseif sent == 1000 then
          poller:register(source, 0)
        end
        local frames = (sent - received > 2 or sent == 1000) and sink:recv_multipart(zmq.DONTWAIT)
        if frames then
          received = received + 1
          assert(frames[1] == tostring(received) and frames[2] == "y")
        end
      end
      assert(control:send("TERMINATE") and control:recv() == "")
      ctx:destroy(0)
      return tostring(received)
    ]]):format(front, back, commands))
    assert.is_true(zmq.proxy(pull, push, nil, control))
    assert.equal("1000", joined(worker))
  end))

  it("is ended by Ctrl-C", test(function(t)
    local child = t:child(helper.program("proxy"))
    assert.equal("ready", child:line())
    child:wait_asleep()
    child:kill("INT")
    assert.equal("false\tinterrupted!\n", (child:finish()))
  end))

  it("leaves the sockets to loops and streams afterwards", test(function(t)
    local pull, push = t:stream("PULL"), t:socket("PUSH")
    local control = t:socket("PULL")
    local front, back, commands = t:bind(pull), t:bind(push), t:bind(control)
    local source = t:socket("PUSH", {connect = front})
    local worker = thread(t, ([[
      local sink = ctx:socket("PULL", {connect = %q})
      local commander = ctx:socket("PUSH", {connect = %q})
      local got = sink:recv()
      commander:send("TERMINATE")
      ctx:destroy(0)
      return got
    ]]):format(back, commands))
    t:settle()
    source:send("through")
    assert.is_true(zmq.proxy(pull.socket, push, nil, control))
    assert.equal("through", joined(worker))
    source:send("to the stream")
    pull:on_recv(t.expect(function(frames)
      assert.same({"to the stream"}, frames)
      t.loop:stop()
    end))
    t:start()
  end))

  it("wants open sockets", test(function(t)
    local a, b = t:socket("PULL"), t:socket("PUSH")
    raises("bad argument #1 to 'proxy'", zmq.proxy)
    raises("bad argument #2 to 'proxy'", zmq.proxy, a)
    raises("bad argument #3 to 'proxy'", zmq.proxy, a, b, 5)
    raises("bad argument #4 to 'proxy'", zmq.proxy, a, b, nil, {})
    b:close()
    raises("socket is closed", zmq.proxy, a, b)
  end))
end)
