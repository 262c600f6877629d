-- A user's clock that used its own loop found its stack in use: the values on it were taken for an
-- error of the clock ("interrupted!"), and a loop that it closed was freed under its caller.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("a clock that uses its own loop", function()
  after_each(helper.cleanup)

  -- A loop whose clock calls what is given here, once.
  local function loop_with_clock(t)
    local now, once = 7, nil
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = function()
      local fn = once
      once = nil
      if fn then fn() end
      now = now + 1
      return now
    end})
    return loop, function(fn) once = fn end
  end

  it("may run it, and is told its last time meanwhile", helper.test(function(t)
    local loop, set = loop_with_clock(t)
    local before, told, results = loop:time(), nil, nil
    loop:add_callback(function() told = loop:time() end)
    set(function() results = helper.pack(pcall(loop.step, loop, 0)) end)
    assert.is_true(loop:time() > before)
    assert.same({n = 3, true, 1, false}, results)
    assert.equal(before, told)
  end))

  it("has its own error raised where it could not run it", helper.test(function(t)
    local loop, set = loop_with_clock(t)
    set(function()
      helper.raises("already running", loop.step, loop, 0)
      error("no time", 0)
    end)
    assert.has_error(function() loop:step(0) end, "no time")
    assert.equal(0, (loop:step(0)))
  end))

  it("cannot close it", helper.test(function(t)
    local loop, set = loop_with_clock(t)
    local ok, err
    set(function() ok, err = pcall(loop.close, loop) end)
    local timer = loop:call_later(100, function() end)
    assert.is_false(ok)
    assert.matches("loop is running", err)
    assert.is_true(timer:active())
  end))
end)
