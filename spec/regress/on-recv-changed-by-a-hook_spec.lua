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

  -- What keeps the message back, and what lets it come.
  local KEPT_BACK = {
    pause = {
      function(stream) stream:pause() end,
      function(stream) stream:resume() end,
    },
    ["on_recv(nil)"] = {
      function(stream) stream:on_recv(nil) end,
      function(stream, on_recv) stream:on_recv(on_recv) end,
    },
  }

  for name, acts in pairs(KEPT_BACK) do
    it(("loses no message by %s"):format(name), helper.test(function(t)
      local keep_back, let_come = acts[1], acts[2]
      for k = 1, 40 do
        local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
        local a, b = t:pair("PAIR", "PAIR")
        local stream = t:keep(zmqloop.ZMQStream(a, loop))
        local runner
        loop:add_callback(function() runner = coroutine.running() end)
        loop:step(0)
        local messages = {}
        local function on_recv(frames) messages[#messages + 1] = frames[1] end
        stream:on_recv(on_recv)
        b:send("x")
        b:send("y")
        local calls = 0
        debug.sethook(runner, function()
          calls = calls + 1
          if calls == k then
            keep_back(stream)
          end
        end, "c")
        loop:step(0)
        debug.sethook(runner)
        let_come(stream, on_recv)
        for _ = 1, 3 do loop:step(0) end
        assert.same({"x", "y"}, messages)
        stream:close()
        loop:close()
      end
    end))
  end
end)
