-- The socket on which the events of a green socket arrive was a plain one: a task that waited for
-- an event blocked the loop.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local monitor = require("zmqloop.monitor")

describe("the monitor socket of a green socket", function()
  after_each(helper.cleanup)

  it("is green: waiting for an event suspends only the task", helper.test(function(t)
    local loop = t.loop
    loop:make_current()
    t:keep{close = zmqloop.IOLoop.clear_current}
    local ctx = green.Context{linger = 0}
    t:keep{close = function() ctx:destroy(0) end}
    loop:run_sync(function()
      local rep = ctx:socket("REP")
      local events = assert(rep:get_monitor_socket("LISTENING"))
      assert.equal(green.Socket.recv, events.recv)
      assert.equal(events, rep:get_monitor_socket("LISTENING"))
      local task = loop:spawn(monitor.recv_monitor_message, events)
      zmqloop.sleep(0)
      assert.is_false(task:done()) -- and this runs
      t:bind(rep, "tcp")
      assert.equal("LISTENING", task:await().name)
      events:close()
      rep:close()
    end, 10)
  end))

  it("is a plain one of a plain socket", helper.test(function(t)
    local events = assert(t:socket("REP"):get_monitor_socket())
    assert.equal(zmqloop.zmq.Socket.recv, events.recv)
    events:close()
  end))
end)
