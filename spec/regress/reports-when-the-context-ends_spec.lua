-- A stream that found the end of its context while receiving made the pending reports from inside
-- the receive callback's call into Lua, where they mistook other values on the stack for the
-- loop's.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local test = helper.test

describe("the end of the context", function()
  after_each(helper.cleanup)

  it("leaves no message without its report", test(function(t)
    local MESSAGES = 300 -- more than a turn reports
    local ctx = zmq.Context()
    local a = zmqloop.ZMQStream(ctx:socket("PAIR", {sndhwm = 0}), t.loop)
    local b = ctx:socket("PAIR", {rcvhwm = 0})
    b:bind("inproc://b")
    a:connect("inproc://b")
    local reported = 0
    a:on_recv(function() end)
    a:on_send(function(frames, status)
      reported = reported + 1
      assert.same({tostring(reported)}, frames)
      assert.is_true(status)
    end)
    for i = 1, MESSAGES do assert.is_true(a:send(tostring(i))) end
    ctx:shutdown()
    t:start()
    assert.equal(MESSAGES, reported)
    a:close()
    b:close()
    ctx:term()
  end))
end)
