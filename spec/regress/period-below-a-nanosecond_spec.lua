-- With a grid finer than the clock, the next point was the same time again, for ever.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("a period that no clock can tell", function()
  after_each(helper.cleanup)

  for _, options in ipairs{{}, {missed = "burst"}, {jitter = 0.5}} do
    it("lets time pass (" .. (next(options) or "plain") .. ")", helper.test(function(t)
      for _, start in ipairs{0, 1e9} do
        for _, period in ipairs{1e-300, 1e-9, 4e-7, 1e-6} do
          local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = "virtual"})
          loop:advance(start)
          local calls = 0
          local periodic = zmqloop.PeriodicCallback(function()
            calls = calls + 1
            assert(calls < 5000, "time stands still")
          end, period, {io_loop = loop, missed = options.missed, jitter = options.jitter})
          loop:on_error("raise")
          periodic:start()
          loop:advance(1e-6)
          assert.is_true(calls > 0)
          periodic:stop()
        end
      end
    end))
  end
end)
