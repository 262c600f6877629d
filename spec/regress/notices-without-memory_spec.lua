-- A signal, a report of a sent message, on_drain and the close callback are called once. If an
-- earlier callback had failed or waited, and there was no memory for the coroutine of the next
-- call, that call was lost, and send_wait() waited for ever.
-- A stream that its end closed did so without a word, if there was no memory at that moment.
local helper = require("spec.helper")

local SOURCE = helper.program("notices_without_memory")

describe("a notice for which there is no memory", function()
  after_each(helper.cleanup)

  for _, kind in ipairs{"signal", "report", "on_send", "drain", "close", "drained",
    "drained_in_vain", "socket_closed"} do
    for _, mode in ipairs{"fail_once", "fail_from"} do
      it(("is not lost: %s (%s)"):format(kind, mode), helper.test(function(t)
        if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
        local output, status = t:run_child(SOURCE, {kind, mode}, 60)
        assert.equal("ok\n", output)
        assert.equal(0, status)
      end))
    end
  end
end)
