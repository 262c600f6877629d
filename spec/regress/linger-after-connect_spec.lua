-- libzmq ignores the linger for a connection whose command it has not processed when the socket is
-- closed, and processes it late when sends follow soon: their messages were lost. Seen as every
-- other message that did not arrive.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")

describe("a message sent right after connect", function()
  after_each(helper.cleanup)

  local ways = {
    ["socket:close()"] = function(socket) socket:close() end,
    ["stream:close()"] = function(socket, t) zmqloop.ZMQStream(socket, t.loop):close() end,
    ["collection"] = function() end,
  }

  for name, finish in pairs(ways) do
    it("survives " .. name .. " before the peer is there", helper.test(function(t)
      for _ = 1, 3 do
        local address = t:address("ipc")
        do
          local push = t.ctx:socket("PUSH", {linger = 10000})
          assert.is_nil(push:send("too early", zmq.DONTWAIT))
          assert.is_true(push:connect(address))
          assert.is_true(push:send("hello", zmq.DONTWAIT))
          finish(push, t)
        end
        collectgarbage()
        collectgarbage()
        local pull = t:socket("PULL", {rcvtimeo = 5000, bind = address})
        assert.equal("hello", pull:recv())
      end
    end))
  end
end)
