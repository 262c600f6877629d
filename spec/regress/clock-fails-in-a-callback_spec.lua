-- A user's clock that failed when a callback read the time wrote its error to a slot of the wrong
-- stack frame, and crashed.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("a clock that fails when a callback reads it", function()
  after_each(helper.cleanup)

  it("has its error raised by the method that runs the loop", helper.test(function(t)
    local broken, seen = false, {}
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = function()
      if broken then error("no time", 0) end
      return 7
    end})
    loop:add_callback(function()
      broken = true
      seen[1] = loop:time()
      coroutine.wrap(function() seen[2] = loop:time() end)()
      broken = false
    end)
    assert.has_error(function() loop:step(0) end, "no time")
    assert.same({7, 7}, seen) -- time stands still
    local handled = loop:step(0)
    assert.equal(0, handled)
  end))
end)
