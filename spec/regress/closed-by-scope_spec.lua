-- <close> variables of Lua 5.4, for objects that are closed or stopped.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local load_text = rawget(_G, "loadstring") or load

describe("a variable <close>", function()
  after_each(helper.cleanup)

  it("ends periodic and delayed callbacks, and pollers", helper.test(function(t)
    local scope = load_text("local object = ... local variable <close> = object")
    if not scope then pending("from 5.4 on") end
    local periodic = zmqloop.PeriodicCallback(function() end, 1, t.loop)
    local delayed = zmqloop.DelayedCallback(function() end, 1, t.loop)
    local poller = zmqloop.ZMQPoller()
    periodic:start()
    delayed:start()
    for _, object in ipairs{periodic, delayed, poller} do scope(object) end
    assert.is_false(periodic:is_running())
    assert.is_false(delayed:is_running())
    assert.equal("ZMQPoller (closed)", tostring(poller))
  end))
end)
