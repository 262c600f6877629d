-- When on_drain's callback closed its stream, the task that waited for room in the queue was still
-- resumed, with a stream that no longer existed: "a queued message was refused: EUNKNOWN: Success".
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("on_drain", function()
  after_each(helper.cleanup)

  for _, how in ipairs{"the stream", "its socket"} do
    it("may close " .. how .. " while a task waits for room", helper.test(function(t)
      local push, pull = t:socket("PUSH", {sndhwm = 1}), t:socket("PULL", {rcvhwm = 1})
      assert(push:connect(t:bind(pull)))
      local stream = t:keep(zmqloop.ZMQStream(push, t.loop))
      stream:set_send_hwm(1)
      repeat local accepted = stream:send("x") until not accepted
      stream:on_drain(t.expect(function()
        if how == "the stream" then stream:close(0) else push:close() end
      end))
      local results
      t.loop:spawn(function() results = helper.pack(stream:send_wait("y")) end)
      t.loop:step(0)
      t:run_until(function()
        pull:recv(zmqloop.zmq.DONTWAIT)
        return results
      end)
      helper.fails("ENOTSOCK", results[1], results[2], results[3])
      assert.is_true(stream:closed())
    end))
  end
end)
