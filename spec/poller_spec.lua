-- ZMQPoller, for programs that poll instead of using callbacks.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local ZMQPoller, READ, WRITE = zmqloop.ZMQPoller, zmqloop.IOLoop.READ, zmqloop.IOLoop.WRITE
local test = helper.test

-- object -> events
local function found(list)
  local events = {}
  for _, item in ipairs(list) do
    assert.is_nil(events[item[1]], "reported twice")
    events[item[1]] = item[2]
  end
  return events
end

describe("ZMQPoller", function()
  after_each(helper.cleanup)

  it("tells what is ready, with the masks of IOLoop", test(function(t)
    local rep, req = t:pair("REP", "REQ", "inproc")
    local poller = t:keep(ZMQPoller())
    poller:register(rep, READ)
    poller:register(req, READ)
    assert.same({}, poller:poll(0))
    poller:register(rep, WRITE)
    poller:register(req, WRITE)
    assert.same({[req] = WRITE}, found(poller:poll(1)))
    poller:modify(rep, READ)
    poller:modify(req, READ)
    req:send("question")
    assert.same({[rep] = READ}, found(poller:poll(1)))
    assert.same({[rep] = READ}, found(poller:poll(1)), "level semantics")
    rep:recv()
    assert.same({}, poller:poll(0))
  end))

  it("takes files and descriptors", test(function(t)
    local reader, writer = t:pipe()
    local poller = t:keep(ZMQPoller())
    poller:register(reader, "r")
    assert.same({}, poller:poll(0))
    writer:write("x")
    assert.same({[reader] = READ}, found(poller:poll(1)))
  end))

  it("waits as long as it is told, fractions of milliseconds too", test(function(t)
    local poller = t:keep(ZMQPoller())
    for _, seconds in ipairs{0.0004, 0.012} do
      local start = t.loop:time()
      assert.same({}, poller:poll(seconds))
      assert.is_true(t.loop:time() - start >= seconds)
    end
  end))

  it("forgets what is unregistered, or has no events", test(function(t)
    local a, b = t:pair("PAIR", "PAIR", "inproc")
    local poller = t:keep(ZMQPoller())
    poller:register(a, "rw")
    poller:register(b, "rw")
    poller:unregister(a)
    poller:modify(b, 0)
    assert.same({}, poller:poll(0))
    assert.has_error(function() poller:unregister(a) end)
    assert.has_error(function() poller:unregister(b) end)
    poller:register(a, "w")
    assert.same({[a] = WRITE}, found(poller:poll(0)))
  end))

  it("names its own methods where it is misused", test(function(t)
    local poller, a = t:keep(ZMQPoller()), t:socket("PAIR")
    helper.raises("bad argument #1 to 'register'", poller.register, poller, {}, READ)
    helper.raises("bad argument #2 to 'register'", poller.register, poller, a, 2)
    helper.raises("bad argument #1 to 'modify' (not registered)", poller.modify, poller, a, READ)
    helper.raises("bad argument #1 to 'unregister' (not registered)", poller.unregister, poller)
    assert.is_true(poller:register(a, "r"))
    helper.raises("bad argument #2 to 'modify'", poller.modify, poller, a)
    helper.raises("bad argument #1 to 'poll' (number of seconds expected, got string)", poller.poll,
      poller, "1")
    helper.fails("EBADF", poller:register(987, READ))
  end))

  it("closed leaves what was registered open", test(function(t)
    local a = t:socket("PAIR")
    local poller = ZMQPoller.new()
    poller:register(a, "rw")
    poller:close()
    poller:close()
    assert.is_false(a:closed())
    assert.error_matches(function() poller:poll(0) end, "poller is closed")
    assert.error_matches(function() poller:register(a) end, "poller is closed")
    assert.equal("ZMQPoller (closed)", tostring(poller))
  end))
end)
