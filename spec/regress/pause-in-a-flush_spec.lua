-- flush() discards messages if there is no callback. It also did when a callback that it called had
-- paused the stream: all later messages were lost. Found by random traffic
-- (spec/conservation_spec.lua).
local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test = helper.test

describe("a flush in which a callback stops receiving", function()
  after_each(helper.cleanup)

  for _, how in ipairs{"pause", "stop_on_recv"} do
    it("throws nothing away, but goes on sending (" .. how .. ")", test(function(t)
      local a, b = t:streams("PAIR", "PAIR")
      local seen = {}
      local function receive(frames) seen[#seen + 1] = frames[1] end
      for i = 1, 5 do b:send(tostring(i)) end
      t:settle()
      a:on_recv(function(frames)
        receive(frames)
        if #seen == 2 then
          a[how](a)
          a:send("reply")
        end
      end)
      assert.equal(2, a:flush())
      assert.equal(0, a:flush(zmq.POLLOUT))
      assert.same({"1", "2"}, seen)
      a:on_recv(receive)
      t:run_until(function() return #seen == 5 end)
      assert.same({"1", "2", "3", "4", "5"}, seen)
      assert.equal("reply", b.socket:recv(zmq.DONTWAIT))
    end))
  end
end)
