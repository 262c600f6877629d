-- A user's clock that returned inf or NaN was converted to an integer, which is undefined in C;
-- values that are not numbers were ignored. Differences with times below 0 and with very large ones
-- overflowed.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local IOLoop = zmqloop.IOLoop
local test = helper.test

describe("a clock that tells no time", function()
  after_each(helper.cleanup)

  local wrong = {
    {1 / 0, "an infinite number"}, {-1 / 0, "an infinite number"}, {0 / 0, "nan"},
    {"12", "string"}, {false, "boolean"}, {nil, "nil"},
  }

  local function loop_with_clock(t)
    local told = 5
    local loop = t:keep(IOLoop{impl = helper.backend, clock = function() return told end})
    return loop, function(time) told = time end
  end

  it("has failed where it is asked outside of a run", test(function(t)
    for i = 1, 6 do
      local loop, set = loop_with_clock(t)
      local timer = loop:call_later(10, function() end)
      set(wrong[i][1])
      local text = "the loop's clock returned " .. wrong[i][2] .. ", not seconds"
      helper.raises(text, loop.time, loop)
      helper.raises(text, loop.call_later, loop, 1, function() end)
      helper.raises(text, loop.timeout, loop)
      helper.raises(text, timer.remaining, timer)
      helper.raises(text, timer.again, timer, 1)
      set(6)
      assert.equal(6, loop:time())
      assert.is_true(loop:step(0) >= 0) -- nothing is raised twice
    end
  end))

  it("has failed where a run asks it", test(function(t)
    for i = 1, 6 do
      local loop, set = loop_with_clock(t)
      loop:call_later(1, function() end)
      set(wrong[i][1])
      helper.raises("the loop's clock returned " .. wrong[i][2], loop.step, loop, 0)
      set(7)
      assert.equal(1, (loop:step(0)))
    end
  end))

  it("may tell any other", test(function(t)
    for _, time in ipairs{-1e300, -9.3e9, -5, 0, 9.2e9, 9.3e9, 1e300} do
      local loop, set = loop_with_clock(t)
      set(time)
      local calls = 0
      local later = loop:call_later(1, function() calls = calls + 1 end)
      local far = loop:call_later(math.huge, function() calls = calls + 1 end)
      local farther = loop:call_later(9.2e9, function() calls = calls + 1 end)
      for _, timer in ipairs{later, far, farther} do assert.is_true(timer:remaining() >= 0) end
      assert.is_true((loop:timeout() or 0) >= 0)
      loop:step(0)
      assert.equal(0, calls)
    end
  end))
end)

describe("a time far away", function()
  after_each(helper.cleanup)

  it("in the past is a tracker's time out at once", test(function()
    local context = zmqloop.zmq.Context.instance()
    local socket = context:socket("PUSH", {linger = 0})
    socket:bind("inproc://nobody")
    socket:connect("inproc://somebody")
    local tracker = socket:send(("x"):rep(1000), {track = true})
    for _, seconds in ipairs{-1, -9.3e9, -1e300, -math.huge} do
      helper.fails("ETIMEDOUT", tracker:wait(seconds))
    end
    socket:close()
  end))
end)
