-- Between the check of how the callback is called and the look-up of the callback a hook may run,
-- and set another one.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("a hook that changes on_recv while a message is on its way", function()
  after_each(function()
    debug.sethook()
    helper.cleanup()
  end)

  it("has the message given to either, in the form it asked for", helper.test(function(t)
    for k = 1, 40 do
      local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
      local a, b = t:pair("PAIR", "PAIR")
      local stream = t:keep(zmqloop.ZMQStream(a, loop))
      local runner, first, second
      loop:add_callback(function() runner = coroutine.running() end)
      loop:step(0)
      stream:on_recv(function(...) first = helper.pack(...) end)
      b:send("x")
      local calls = 0
      debug.sethook(runner, function()
        calls = calls + 1
        if calls == k then
          stream:on_recv_stream(function(...) second = helper.pack(...) end)
        end
      end, "c")
      loop:step(0)
      debug.sethook(runner)
      for _ = 1, 3 do loop:step(0) end
      assert.is_true((first or second) ~= nil)
      if first then
        assert.same({{"x"}, n = 1}, first)
      end
      if second then
        assert.equal(2, second.n)
        assert.equal(stream, second[1])
        assert.same({"x"}, second[2])
      end
      assert.is_true(not (first and second))
      stream:close()
      loop:close()
    end
  end))
end)
