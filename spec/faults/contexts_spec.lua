-- Contexts that end under a loop.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local test = helper.test

local function noop() end

describe("a context that ends while the loop runs", function()
  after_each(helper.cleanup)

  local ways = {
    shutdown = function(ctx) ctx:shutdown() end,
    term = function(ctx)
      local result, _, name = ctx:term()
      assert.is_nil(result)
      assert.equal("EBUSY", name)
    end,
  }

  for name, finish in pairs(ways) do
    it("by " .. name .. "() ends start() quietly; the loop can be used again", test(function(t)
      local ctx = zmq.Context()
      local pull, push = ctx:socket("PULL"), ctx:socket("PUSH", {linger = 0})
      local receiver = zmqloop.ZMQStream(pull, t.loop)
      local sender = zmqloop.ZMQStream(push, t.loop)
      receiver:on_recv(noop)
      sender:send("queued: nobody is there")
      t.loop:call_later(0.002, t.expect(function() finish(ctx) end))
      assert.is_true(t:start())

      local ok, result, _, code = pcall(sender.send, sender, "x")
      assert.is_true(not ok and tostring(result):find("closed") ~= nil or code == "ETERM")
      receiver:close()
      sender:close()
      pull:close()
      push:close()
      assert.is_true(ctx:term())

      local other_pull, other_push = t:streams("PULL", "PUSH")
      other_pull:on_recv(t.expect(function() t.loop:stop() end))
      other_push:send("x")
      t:start()
    end))
  end

  it("by destroy() closes its streams", test(function(t)
    local ctx = zmq.Context()
    local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    stream:on_recv(noop)
    stream:set_close_callback(t.expect(noop))
    t.loop:call_later(0.002, t.expect(function() ctx:destroy(0) end))
    t:run_until(function() return stream:closed() end)
    assert.is_true(ctx:closed())
    t:settle()
    assert.is_true(t.loop:run())
  end))

  it("by destroy() inside a callback of one of its streams, with more queued", test(function(t)
    local ctx = zmq.Context()
    local address = t:address()
    local pull = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    local push = zmqloop.ZMQStream(ctx:socket("PUSH"), t.loop)
    pull:bind(address)
    push:connect(address)
    pull:on_recv(t.expect(function() ctx:destroy(0) end))
    for _ = 1, 10 do push:send("x") end
    t:run_until(function() return pull:closed() and push:closed() end)
    t:settle()
  end))

  it("by shutdown() inside a callback, with handlers on its sockets", test(function(t)
    local ctx = zmq.Context()
    local a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
    a:bind("inproc://handlers")
    b:connect("inproc://handlers")
    local calls = 0
    t.loop:add_handler(a, function()
      calls = calls + 1
      if calls == 1 then ctx:shutdown() end
      if calls > 3 then error("it is called again and again") end
    end, zmqloop.IOLoop.READ)
    b:send("x")
    assert.is_true(t:start())
    assert.is_true(calls >= 1)
    t.loop:remove_handler(a)
    ctx:destroy(0)
  end))

  it("before the loop starts ends start() as well", test(function(t)
    local ctx = zmq.Context()
    local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    stream:on_recv(noop)
    ctx:shutdown()
    assert.is_true(t:start())
    stream:close()
    ctx:term()
  end))

  it("wakes no other stream and leaves other contexts alone", test(function(t)
    local ctx = zmq.Context()
    local doomed = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    doomed:on_recv(noop)
    local pull, push = t:streams("PULL", "PUSH")
    local seen = 0
    pull:on_recv(function() seen = seen + 1 end)
    ctx:shutdown()
    push:send("1")
    t:run_until(function() return seen == 1 end)
    ctx:destroy(0)
    push:send("2")
    t:run_until(function() return seen == 2 end)
  end))
end)
