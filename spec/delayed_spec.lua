local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local DelayedCallback = require("zmqloop.ioloop").DelayedCallback
local test = helper.test

local function noop() end

describe("DelayedCallback", function()
  after_each(helper.cleanup)

  it("calls once, after so many milliseconds from start()", test(function(t)
    assert.equal(DelayedCallback, zmqloop.DelayedCallback)
    local started
    local delayed = DelayedCallback(t.expect(function()
      assert.is_true(t.loop:time() >= started + 0.005)
    end), 5, t.loop)
    started = t.loop:time()
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("may have a delay of 0", test(function(t)
    DelayedCallback(t.expect(noop), 0, t.loop):start()
    assert.is_true(t.loop:run())
  end))

  it("start() twice calls once", test(function(t)
    local delayed = DelayedCallback(t.expect(noop), 1, t.loop)
    delayed:start()
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("can be started again after it fired", test(function(t)
    local delayed = DelayedCallback(t.expect(noop, 2), 1, t.loop)
    delayed:start()
    assert.is_true(t.loop:run())
    delayed:start()
    assert.is_true(t.loop:run())
  end))

  it("stopped does not fire, and leaves nothing to wait for", test(function(t)
    local delayed = DelayedCallback(t.expect(noop, 0), 3600000, t.loop)
    delayed:start()
    delayed:stop()
    delayed:stop()
    assert.is_true(t.loop:run())
  end))

  it("rejects what is no delay, and what cannot be called", test(function(t)
    for _, bad in ipairs{"x", {}, 0 / 0} do
      assert.has_error(function() DelayedCallback(noop, bad, t.loop) end)
    end
    assert.has_error(function() DelayedCallback("x", 1, t.loop) end)
  end))
end)
