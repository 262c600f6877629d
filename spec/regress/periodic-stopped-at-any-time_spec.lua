-- What runs between the steps of a periodic callback, such as a hook or the user's clock, may stop
-- it: the next step found no loop to schedule its call on.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local test = helper.test

-- A loop whose clock calls fn() at its n-th reading from when it is armed.
local function striking_loop(fn)
  local now, left = 0, 0
  local options = helper.loop_options()
  options.clock = function()
    left = left - 1
    if left == 0 then fn() end
    now = now + 0.004
    return now
  end
  return zmqloop.IOLoop(options), function(n) left = n end
end

describe("a PeriodicCallback that is stopped at any time", function()
  after_each(helper.cleanup)

  for _, again in ipairs{false, true} do
    local title = again and "ends, and begins another series, by the clock" or "ends, by the clock"
    it(title, test(function(t)
      for n = 1, 12 do
        local calls, stopped_at = 0, nil
        local periodic
        local loop, arm = striking_loop(function()
          periodic:stop()
          stopped_at = calls
          if again then periodic:start() end
        end)
        t:keep(loop)
        loop:on_error("raise")
        periodic = zmqloop.PeriodicCallback(function() calls = calls + 1 end, 10, loop)
        periodic:start()
        arm(n)
        for _ = 1, 40 do loop:step(0) end
        assert.is_truthy(stopped_at)
        assert.equal(again, periodic:is_running())
        assert.is_true(again and calls > stopped_at or not again and calls <= stopped_at)
        periodic:stop()
      end
    end))
  end

  it("ends, while its next period is drawn", test(function(t)
    local random, calls = math.random, 0
    local periodic = zmqloop.PeriodicCallback(function() calls = calls + 1 end, 1,
      {jitter = 0.1, io_loop = t.loop})
    t.loop:on_error("raise")
    periodic:start()
    math.random = function() -- luacheck: ignore 122
      periodic:stop()
      return 0.5
    end
    local ok, err = pcall(t.run_until, t, function() return not periodic:is_running() end)
    math.random = random -- luacheck: ignore 122
    assert.is_true(ok, err)
    assert.equal(0, calls)
  end))
end)
