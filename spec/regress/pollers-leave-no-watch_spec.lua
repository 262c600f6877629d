-- When a wait of green.Poller is over, however it ends, nothing of it is left on the loop. A
-- handler was left that had no task to serve, was called in each iteration, and kept its object
-- from being registered again.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local zmq = zmqloop.zmq
local test = require("spec.green.fixture").test

-- Nothing is left of a wait: not a watch, and each of these can be registered.
local function is_free(t, ...)
  assert.is_nil(next(t.loop.watches_ or {}))
  for _, object in ipairs{...} do
    assert(t.loop:add_handler(object, function() end, t.loop.READ))
    t.loop:remove_handler(object)
  end
end

describe("a wait of green.Poller", function()
  after_each(helper.cleanup)

  it("for one descriptor in two ways hears of the events of both", test(function(t, loop)
    local reader, writer = t:pipe()
    local number = loop:split_fd(reader)
    for _, other in ipairs{zmq.POLLERR, zmq.POLLIN} do
      loop:run_sync(function()
        local poller = green.Poller()
        poller:register(reader, zmq.POLLIN)
        poller:register(number, other)
        local task = loop:spawn(poller.poll, poller, 20000)
        zmqloop.sleep(0)
        zmqloop.sleep(0)
        writer:write("x")
        assert.is_true(#task:await() >= 1)
      end, 10)
      is_free(t, reader)
      assert.equal("x", reader:read(1))
    end
  end))

  it("that cannot begin, since an object is somebody else's, has begun for none",
    test(function(t, loop, ctx)
      local reader = t:pipe()
      local taken, free = ctx:socket("PULL"), ctx:socket("PULL")
      t:keep(zmqloop.ZMQStream(taken, loop))
      for _, order in ipairs{{free, reader, taken}, {taken, free, reader}, {reader, taken, free}} do
        loop:run_sync(function()
          local poller = green.Poller()
          for _, object in ipairs(order) do poller:register(object, zmq.POLLIN) end
          local ok, err = zmqloop.pcall(poller.poll, poller, 1000)
          assert.is_false(ok)
          assert.matches("already registered", err)
        end, 10)
        is_free(t, reader, free)
      end
    end))
end)
