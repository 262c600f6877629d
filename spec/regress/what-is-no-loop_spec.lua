-- Any userdata was accepted as an optional loop, and failed later and elsewhere.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("what is not an IOLoop", function()
  after_each(helper.cleanup)

  it("is refused with the argument's number", helper.test(function(t)
    local socket, other = t:socket("PAIR"), t:socket("PAIR")
    for _, value in ipairs({socket, io.stdout, "loop", 5, false}) do
      helper.raises("bad argument #1 to 'Future' (IOLoop expected, got ", zmqloop.Future, value)
      helper.raises("bad argument #3 to 'PeriodicCallback' (IOLoop expected, got ",
        zmqloop.PeriodicCallback, print, 10, value)
      helper.raises("bad argument #3 to 'PeriodicCallback' (IOLoop expected, got ",
        zmqloop.PeriodicCallback, print, 10, {io_loop = value})
      helper.raises("bad argument #3 to 'DelayedCallback' (IOLoop expected, got ",
        zmqloop.DelayedCallback, print, 10, value)
      helper.raises("bad argument #3 to 'monitor' (IOLoop expected, got ", other.monitor, other,
        print, "all", value)
      helper.raises("bad argument #2 to 'ZMQStream' (IOLoop expected, got ", zmqloop.ZMQStream,
        other, value)
    end
  end))

  it("or not a number, is refused with a message that names it", helper.test(function(t)
    local loop, nan = t.loop, 0 / 0
    helper.raises("number of seconds expected, got NaN", loop.call_later, loop, nan, print)
    helper.raises("number of seconds expected, got NaN", loop.step, loop, nan)
    helper.raises("number of milliseconds expected, got NaN", zmqloop.PeriodicCallback, print, nan)
    helper.raises("number of milliseconds expected, got NaN", zmqloop.DelayedCallback, print, nan)
    helper.raises("integer expected, got NaN", loop.add_handler, loop, nan, print, "r")
    helper.raises("integer expected, got 1.5", loop.add_handler, loop, 1.5, print, "r")
  end))
end)
