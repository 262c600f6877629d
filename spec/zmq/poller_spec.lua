local elsewhere = require("elsewhere")
local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

local IN, OUT, BOTH = zmq.POLLIN, zmq.POLLOUT, zmq.POLLIN + zmq.POLLOUT

-- What poll() has found, by object.
local function by_object(list)
  local found = {}
  for _, each in ipairs(list) do found[each[1]] = each[2] end
  return found
end

-- Polls until the events of the object are those, or fails.
local function await(poller, object, events)
  local got
  for _ = 1, 10000 do
    got = by_object(poller:poll(20))[object]
    if got == events then return end
  end
  error(("events are %s, expected: %s"):format(tostring(got), tostring(events)), 2)
end

describe("zmq.Poller", function()
  after_each(helper.cleanup)

  it("tells both directions of a PAIR apart", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, BOTH)
    poller:register(b)
    await(poller, a, OUT)
    await(poller, b, OUT)
    a:send("x")
    b:send("y")
    await(poller, a, BOTH)
    await(poller, b, BOTH)
    assert.equal("y", a:recv())
    assert.equal("x", b:recv())
    await(poller, a, OUT)
    await(poller, b, OUT)
    poller:unregister(a)
    assert.is_nil(by_object(poller:poll(0))[a])
  end))

  it("follows REQ and REP through their turns", test(function(t)
    local rep, req = t:pair("REP", "REQ")
    local poller = zmq.Poller.new()
    poller:register(req, BOTH)
    poller:register(rep, BOTH)
    await(poller, req, OUT)
    await(poller, rep, nil)
    req:send("question")
    await(poller, rep, IN)
    await(poller, req, nil)
    rep:recv()
    await(poller, rep, OUT)
    await(poller, req, nil)
    rep:send("answer")
    await(poller, req, IN)
    await(poller, rep, nil)
    req:recv()
    await(poller, req, OUT)
    await(poller, rep, nil)
  end))

  it("without events watches nothing", test(function(t)
    local a = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, 0)
    assert.same({}, poller:poll(0))
    raises("bad argument #1 to 'unregister' (not registered)", poller.unregister, poller, a)
    raises("bad argument #1 to 'modify' (not registered)", poller.modify, poller, a, OUT)
    poller:register(a, OUT)
    assert.same({{a, OUT}}, poller:poll(0))
    poller:modify(a, IN)
    assert.same({}, poller:poll(0))
    poller:modify(a, 0)
    assert.matches("0 registered", tostring(poller))
    poller:register(a, OUT)
    poller:register(a, OUT)
    assert.same({{a, OUT}}, poller:poll(0))
    poller:register(a, 0)
    assert.same({}, poller:poll(0))
  end))

  it("hears of a publication", test(function(t)
    local pub, sub = t:pair("PUB", "SUB")
    sub:subscribe("")
    local poller = zmq.Poller()
    poller:register(pub)
    poller:register(sub, IN)
    await(poller, pub, OUT)
    await(poller, sub, nil)
    pub:send("news")
    await(poller, sub, IN)
    sub:recv()
    await(poller, sub, nil)
  end))

  it("watches descriptors and files beside sockets", test(function(t)
    local reader, writer = t:pipe()
    local a = t:pair("PAIR", "PAIR")
    local object = {fileno = function() return 0 end}
    local poller = zmq.Poller()
    poller:register(reader, IN)
    poller:register(a, OUT)
    assert.same({{a, OUT}}, poller:poll(0))
    writer:write("x")
    assert.same({{reader, IN}, {a, OUT}}, poller:poll(1000))
    reader:read(1)
    assert.same({{a, OUT}}, poller:poll(0))
    poller:register(object, 0)
    raises("bad argument #1 to 'register'", poller.register, poller, {})
    raises("bad argument #1 to 'register'", poller.register, poller, "0")
    raises("bad argument #1 to 'register'", poller.register, poller)
    raises("bad argument #1 to 'register'", poller.register, poller, -1)
    raises("bad argument #2 to 'register'", poller.register, poller, a, 16)
    raises("bad argument #2 to 'register'", poller.register, poller, a, "r")
  end))

  it("waits in milliseconds, rounded up, never less", test(function(t)
    local a = t:pair("PAIR", "PAIR")
    local loop = t.loop
    local poller = zmq.Poller()
    poller:register(a, IN)
    for _, milliseconds in ipairs{0, 0.3, 2, 5.5} do
      local started = loop:time()
      assert.same({}, poller:poll(milliseconds))
      assert.is_true(loop:time() - started >= milliseconds / 1000)
      started = loop:time()
      assert.equal(0, a:poll(milliseconds))
      assert.is_true(loop:time() - started >= milliseconds / 1000)
    end
    raises("bad argument #1 to 'poll'", poller.poll, poller, "1")
    raises("time is not a number", poller.poll, poller, 0 / 0)
    raises("time is not a number", a.poll, a, 0 / 0)
    raises("bad argument #1 to 'poll'", a.poll, a, {})
    raises("bad argument #2 to 'poll'", a.poll, a, 0, 32)
    raises("bad argument #2 to 'poll'", a.poll, a, 0, 1.5)
  end))

  it("nil, negative and endless times wait until something is ready", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, IN)
    for i, time in ipairs{-1, -5.5, math.huge, 2 ^ 60, 1e300} do
      b:send(tostring(i))
      assert.same({{a, IN}}, poller:poll(time))
      assert.equal(IN, a:poll(time))
      a:recv()
    end
    b:send("x")
    assert.same({{a, IN}}, poller:poll())
    assert.equal(IN, a:poll())
  end))

  it("of nothing waits for the time", function()
    assert.same({}, zmq.Poller():poll(1))
    assert.same({}, zmq.Poller():poll(0))
  end)

  it("raises for a closed socket, and goes on without it", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, OUT)
    poller:register(b, OUT)
    a:close()
    raises("socket is closed", poller.poll, poller, 0)
    raises("socket is closed", poller.register, poller, a)
    poller:unregister(a)
    assert.is_nil(by_object(poller:poll(0))[a])
  end))

  it("answers ETERM when the context ends", test(function(t)
    local a = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, IN)
    t.ctx:shutdown()
    fails("ETERM", poller:poll(1000))
    fails("ETERM", a:poll(1000))
  end))

  it("keeps what was registered right when others are taken away", test(function(t)
    local poller = zmq.Poller()
    local readers, senders = {}, {}
    for i = 1, 8 do
      readers[i], senders[i] = t:pair("PULL", "PUSH")
      poller:register(readers[i], IN)
    end
    for i = 8, 1, -3 do
      poller:unregister(readers[i])
      raises("not registered", poller.unregister, poller, readers[i])
    end
    for i = 1, 8 do senders[i]:send("x") end
    for i = 1, 8 do assert.equal(IN, readers[i]:poll(1000)) end
    local expected = {}
    for i = 1, 8 do
      if i ~= 8 and i ~= 5 and i ~= 2 then expected[#expected + 1] = {readers[i], IN} end
    end
    assert.same(expected, poller:poll(0))
  end))

  it("refuses what is no entry of its own", test(function(t)
    local core = require("zmqloop.core")
    local poller = zmq.Poller()
    for _, bad in ipairs{"x", 7, true, {}, {"x", IN}, {t:socket("PULL"), 1000}, {1, IN, 2^40},
        {1, IN, -1}, {1, IN, "x"}} do
      poller.entries[1] = bad
      assert.is_false(pcall(poller.poll, poller, 0))
    end
    assert.is_false(pcall(core.poll_items, {{}}, 0))
    local hole = {nil, {}}
    assert.is_false(#hole > 0 and pcall(core.poll_items, hole, 0)) -- its length is Lua's choice
    assert.is_false(pcall(core.poll_items))
  end))

  it("does not end before its time, though libzmq is woken meanwhile", test(function(t)
    for i = 1, 40 do
      local pull, push = t:socket("PULL"), t:socket("PUSH")
      local endpoint = t:bind(pull, "tcp")
      local poller = zmq.Poller()
      poller:register(pull, IN)
      push:connect(endpoint) -- which is heard of in the wait
      local started = t.loop:time()
      if i % 2 == 0 then pull:poll(5) else poller:poll(5) end
      assert.is_true(t.loop:time() - started >= 0.005)
      pull:close()
      push:close()
    end
  end))

  it("takes no number of a descriptor for another one", test(function()
    local poller = zmq.Poller()
    helper.raises("bad argument #1 to 'register'", poller.register, poller,
      {fileno = function() return 2^32 end})
    helper.raises("out of range", poller.register, poller, 2^32)
  end))

  it("does not take the signal that a loop waits for", test(function(t)
    local pull, push = t:stream("PULL"), t:stream("PUSH")
    push:connect(t:bind(pull, "tcp"))
    local poller = zmq.Poller()
    poller:register(pull.socket, IN)
    pull:on_recv(t.expect(function() t.loop:stop() end))
    t:settle()
    push:send("x")
    assert.equal(1, #poller:poll(5000))
    t:start()
  end))

  it("and poll() go on after signals, for the rest of their time", test(function(t)
    local sigstorm = require("sigstorm")
    local a, b = t:pair("PAIR", "PAIR")
    local poller = zmq.Poller()
    poller:register(a, IN)
    a:set("rcvtimeo", 20)
    local started = t.loop:time()
    sigstorm.start(1000)
    local list = poller:poll(20)
    local events = a:poll(20)
    local _, _, name = a:recv()
    local stopped = sigstorm.stop()
    assert.same({}, list)
    assert.equal(0, events)
    assert.equal("EAGAIN", name)
    assert.is_true(stopped > 10)
    assert.is_true(t.loop:time() - started >= 0.06)
    local worker = elsewhere.thread(([[
      package.path, package.cpath = %q, %q
      local zmq = require("zmqloop").zmq
      local push = zmq.Context(...):socket("PUSH", {connect = "inproc://after-signals"})
      zmq.Poller():poll(20)
      push:send("x")
    ]]):format(package.path, package.cpath), t.ctx:handle())
    local pull = t:socket("PULL", {bind = "inproc://after-signals"})
    poller:register(pull, IN)
    sigstorm.start(1000)
    list = poller:poll(10000)
    sigstorm.stop()
    assert.same({{pull, IN}}, list)
    assert.is_true(worker:join())
    b:close()
  end))
end)
