-- A loop inside another one, which waits for its descriptor: fd(), timeout(),
-- pollable(). The host here is a poller or a second loop.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local elsewhere = require("elsewhere")
local test, fails, raises = helper.test, helper.fails, helper.raises

-- The poll backend has no descriptor for all that it waits for.
if helper.backend == "poll" then
  describe("a loop of the poll backend", function()
    after_each(helper.cleanup)

    it("has no descriptor, and tells its timeout", test(function(t)
      fails("ENOTSUP", t.loop:fd())
      fails("ENOTSUP", t.loop:pollable())
      assert.is_nil(t.loop:timeout())
      t.loop:add_callback(print)
      assert.equal(0, t.loop:timeout())
    end))
  end)
  return
end

-- Whether a descriptor is readable, waiting this many seconds for it.
local function is_readable(fd, seconds)
  local poller = zmqloop.ZMQPoller()
  assert(poller:register(fd, 1))
  local ready = poller:poll(seconds or 0)
  poller:close()
  return #ready > 0
end

-- Steps until the descriptor rests, as it has to after a few steps: what libzmq
-- does in one may be reported, and mean nothing, in the next.
local function rest(t)
  t:settle()
  for _ = 1, 5 do
    if not is_readable(t.loop:fd()) then return end
    local handled = t.loop:step(0)
    assert.equal(0, handled)
  end
  error("the descriptor stays readable with nothing to do", 2)
end

-- What a host does: waits, and steps, until condition() holds.
local function host(t, condition)
  local fd = assert(t.loop:fd())
  local deadline = t.loop:time() + 20
  while not condition() do
    if t.loop:time() > deadline then error("watchdog: the condition never became true", 2) end
    is_readable(fd, math.min(t.loop:timeout() or 20, 20))
    t.loop:step(0)
    t:raise_errors()
  end
end

describe("the descriptor of a loop", function()
  after_each(helper.cleanup)

  it("is one number, and rests when there is nothing to do", test(function(t)
    local fd = t.loop:fd()
    assert.equal("number", type(fd))
    assert.equal(fd, t.loop:fd())
    assert.is_false(is_readable(fd))
    assert.is_nil(t.loop:timeout())
    t.loop:call_later(100, print)
    t:settle()
    assert.is_false(is_readable(fd))
    assert.is_true(t.loop:timeout() > 50)
  end))

  it("is readable as long as a descriptor is ready that is watched", test(function(t)
    local fd = t.loop:fd()
    local reader, writer = t:pipe()
    t.loop:add_handler(reader, function() reader:read(1) end, "r")
    t:settle()
    assert.is_false(is_readable(fd))
    writer:write("xy")
    assert.is_true(is_readable(fd))
    t.loop:step(0)
    assert.is_true(is_readable(fd), "one byte is left")
    t.loop:step(0)
    assert.is_false(is_readable(fd))
  end))

  it("is readable as long as messages are left for the next step", test(function(t)
    local fd = t.loop:fd()
    local pull, push = t:pair("PULL", "PUSH")
    local stream = t:keep(zmqloop.ZMQStream(pull, t.loop))
    local got = 0
    stream:set_batch(1)
    stream:on_recv(function() got = got + 1 end)
    rest(t)
    for _ = 1, 3 do push:send("x") end
    for i = 1, 3 do
      assert.is_true(is_readable(fd, 20), ("message %d"):format(i))
      while got < i do t.loop:step(0) end
    end
    rest(t)
    assert.is_nil(t.loop:timeout())
  end))

  it("serves a host whole conversations, timeouts and signals", test(function(t)
    local rep, req = t:streams("REP", "REQ", "tcp")
    local got = {}
    rep:on_recv(function(frames) rep:send("re: " .. frames[1]) end)
    req:on_recv(function(frames)
      got[#got + 1] = frames[1]
      t.loop:call_later(0.002, function() req:send("next") end)
    end)
    req:send("first")
    host(t, function() return #got == 5 end)
    assert.same({"re: first", "re: next", "re: next", "re: next", "re: next"}, got)

    local process = require("process")
    local came = false
    t.loop:add_signal_handler("USR1", function() came = true end)
    process.kill(10)
    assert.is_true(is_readable(t.loop:fd()))
    host(t, function() return came end)
  end))

  it("is readable and the timeout 0 while a budget leaves work", test(function(t)
    local fd = t.loop:fd()
    for _ = 1, 3 do t.loop:add_callback(function() end) end
    assert.equal(0, t.loop:timeout())
    for _ = 1, 3 do
      local handled = t.loop:step(0, {events = 1})
      assert.equal(1, handled)
    end
    t:settle()
    assert.is_false(is_readable(fd))
    t.loop:add_callback(function() end)
    t.loop:add_callback(function() t.loop:add_callback(function() end) end)
    local _, more = t.loop:step(0)
    assert.is_true(more)
    assert.equal(0, t.loop:timeout())
    assert.is_true(is_readable(fd))
    t:settle()
    assert.is_nil(t.loop:timeout())
    assert.is_false(is_readable(fd))
  end))

  it("tells the time to the next deadline, 0 when that is over", test(function(t)
    local handle = t.loop:call_later(50, print)
    local timeout = t.loop:timeout()
    assert.is_true(timeout > 0 and timeout <= 50)
    handle:again(-1)
    assert.equal(0, t.loop:timeout())
    handle:cancel()
    assert.is_nil(t.loop:timeout())
  end))

  it("is readable for what is queued outside of a step, until the next one", test(function(t)
    local fd = t.loop:fd()
    local push, pull = t:streams("PUSH", "PULL")
    local got = 0
    pull:on_recv(function() got = got + 1 end)
    rest(t)
    for name, queue in pairs{
      callback = function() t.loop:add_callback(function() end) end,
      timeout = function() t.loop:call_later(1000, print) end,
      ["earlier timeout"] = function() t.loop:call_later(0.5, print):cancel() end,
      stream = function() pull:pause() pull:resume() end,
    } do
      assert.is_false(is_readable(fd), name)
      queue()
      queue()
      assert.is_true(is_readable(fd), name)
      t.loop:step(0)
      rest(t)
    end
    local handle = t.loop:call_later(500, print)
    t.loop:step(0)
    rest(t)
    t.loop:call_later(2000, print)
    assert.is_false(is_readable(fd), "a later timeout means nothing")
    handle:again(100)
    assert.is_true(is_readable(fd), "one that is started anew, and earlier")
    t.loop:step(0)
    rest(t)
    push:send("x")
    host(t, function() return got == 1 end)
  end))

  it("is that of no loop in a forked process", test(function(t)
    local loop = t.loop
    assert.is_true(elsewhere.process(function() fails("ECHILD", loop:fd()) end))
  end))

  it("goes with the loop", test(function(t)
    local loop = zmqloop.IOLoop(helper.loop_options())
    local fd = loop:fd()
    loop:close()
    fails("EBADF", t.loop:add_handler(fd, print, "r"))
    raises("loop is closed", loop.fd, loop)
    raises("loop is closed", loop.timeout, loop)
    raises("loop is closed", loop.pollable, loop)
  end))
end)

describe("a pollable loop", function()
  after_each(helper.cleanup)

  it("has the methods that other loops ask for", test(function(t)
    local pollable = t.loop:pollable()
    assert.equal(t.loop:fd(), pollable:pollfd())
    assert.equal("r", pollable:events())
    assert.is_nil(pollable:timeout())
    t.loop:add_callback(function() end)
    assert.equal(0, pollable:timeout())
  end))

  it("can be watched by another loop", test(function(t)
    local inner = t:keep(zmqloop.IOLoop(helper.loop_options()))
    t:watch(inner)
    local pollable = inner:pollable()
    local reader, writer = t:pipe()
    inner:add_handler(reader, t.expect(function(_, events)
      assert.equal(1, events)
      inner:remove_handler(reader)
      t.loop:stop()
    end), "r")
    t.loop:add_handler(pollable, function(what)
      assert.equal(pollable, what)
      inner:step(0)
    end, pollable:events())
    t.loop:call_later(0.001, function() writer:write("x") end)
    t:start()
  end))
end)
