-- When there is room in a stream's queue, the tasks that wait in send_wait() are served in order.
-- One whose message is refused runs at once, and may close the stream: those behind it got the
-- error of a misuse.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local pcall = zmqloop.pcall

describe("a stream that a task closes which waited for room in its queue", function()
  after_each(helper.cleanup)

  it("fails with ENOTSOCK for the tasks behind it", helper.test(function(t)
    local push, pull = t:stream("PUSH", {sndhwm = 1}), t:stream("PULL", {rcvhwm = 1})
    assert(push:connect(t:bind(pull)))
    push:set_send_hwm(1)
    while push:queued() == 0 do push:send("filler") end
    local refused
    local first = t.loop:spawn(push.send_wait, push, "first")
    t.loop:spawn(function()
      refused = not pcall(push.send_wait, push, {"not a frame:", 42})
      push:close()
    end)
    local last = t.loop:spawn(push.send_wait, push, "last")
    t.loop:step(0)
    pull:on_recv(function() end)
    t:run_until(function() return push:closed() and last:done() and first:done() end)
    assert.is_true(refused)
    helper.fails("ENOTSOCK", last:result())
  end))
end)
