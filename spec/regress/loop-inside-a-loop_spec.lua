-- The timers of a loop that another one watches by pollable() had to be armed by hand, and the
-- error of add_handler(loop) did not say what to pass.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local attach = require("zmqloop.integrate.ioloop").attach
local has_descriptor = helper.backend ~= "poll"

describe("a loop inside of another one", function()
  after_each(helper.cleanup)

  it("has its callbacks, timers and messages served by that", helper.test(function(t)
    if not has_descriptor then return end
    local inner = t:keep(zmqloop.IOLoop(helper.loop_options()))
    local log = {}
    local function note(what) return function() log[#log + 1] = what end end
    inner:call_later(0.001, note("timer before"))
    local attached = assert(attach(inner, t.loop))
    inner:add_callback(note("callback"))
    local a, b = t:pair("PAIR", "PAIR")
    local stream = t:keep(zmqloop.ZMQStream(a, inner))
    stream:on_recv(function(frames)
      log[#log + 1] = frames[1]
      inner:call_later(0.001, note("timer of a callback"))
      t.loop:call_later(0.001, function() inner:call_later(0, note("timer from outside")) end)
    end)
    t:run_until(function() return #log == 2 end)
    b:send("message")
    t:run_until(function() return #log == 5 end)
    table.sort(log)
    assert.same({"callback", "message", "timer before", "timer from outside",
      "timer of a callback"}, log)
    attached:detach()
    inner:add_callback(note("after"))
    t:settle()
    assert.equal(5, #log)
    inner:step(0)
    assert.equal(6, #log)
  end))

  it("ends to be served when it is stopped or closed", helper.test(function(t)
    if not has_descriptor then return end
    for _, method in ipairs({"stop", "close"}) do
      local inner = t:keep(zmqloop.IOLoop(helper.loop_options()))
      local attached = assert(attach(inner, t.loop))
      inner:add_callback(function() end)
      t:settle()
      inner[method](inner)
      t:settle()
      assert.is_false(attached.attached)
    end
  end))

  it("is another loop", helper.test(function(t)
    helper.raises("bad argument #1 to 'attach' (a loop other than the outer one expected)", attach,
      t.loop, t.loop)
    helper.raises("bad argument #1 to 'attach' (IOLoop expected, got userdata)", attach, io.stdout)
    helper.raises("bad argument #2 to 'attach' (IOLoop expected, got number)", attach, t.loop, 5)
  end))

  it("is not taken by add_handler(), which says what is", helper.test(function(t)
    local inner = t:keep(zmqloop.IOLoop(helper.loop_options()))
    helper.raises("loop:pollable()", t.loop.add_handler, t.loop, inner, print, "r")
  end))
end)
