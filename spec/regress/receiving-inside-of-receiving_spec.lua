-- A finalizer may run while received frames are being converted, and receive from the same socket:
-- libzmq aborted when one read a frame that the other had released.
local helper = require("spec.helper")

local SOURCE = helper.program("receiving_inside_of_receiving")

describe("a receive in a finalizer inside of a receive of the same socket", function()
  after_each(helper.cleanup)

  for _, method in ipairs{"recv", "recv_multipart"} do
    for _, form in ipairs{"copy", "frames"} do
      it(("leaves its frames to it: %s, %s"):format(method, form), helper.test(function(t)
        local output, status = t:run_child(SOURCE, {method, form}, 60)
        assert.equal("ok\n", output)
        assert.equal(0, status)
      end))
    end
  end
end)
