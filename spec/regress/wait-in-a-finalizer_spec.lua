-- In 5.1 and 5.2 a callback that waited where it cannot yield and its stack does not show why, as
-- in a finalizer or, in 5.1, a metamethod, was already in the line when the yield raised. Waking it
-- resumed a coroutine that was dead, or that waited for something else.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("a callback that waits where it cannot be suspended", function()
  after_each(helper.cleanup)

  it("is told so in a finalizer, and stands in no line", helper.test(function(t)
    local event, told = zmqloop.Event(), {}
    local function wait()
      local _, err = pcall(event.wait, event)
      table.insert(told, tostring(err))
    end
    t.loop:add_callback(t.expect(function()
      helper.apart(function() helper.finalized(wait) end)
      collectgarbage()
      collectgarbage()
    end))
    t:settle()
    assert.equal(1, #told)
    assert.is_truthy(told[1]:find("cannot wait") or told[1]:find("attempt to yield"), told[1])
    assert.equal("Event (clear, 0 waiting)", tostring(event))
    event:set()
    t:settle()
  end))

  it("is told so in a metamethod, where that cannot yield", helper.test(function(t)
    local event, woken = zmqloop.Event(), false
    local waits = setmetatable({}, {__index = function() return event:wait() end})
    t:expect_errors()
    t.loop:add_callback(function() woken = waits.value end)
    t:settle()
    assert.equal(#t.errors == 0, not not event.line.first)
    event:set()
    t:settle()
    assert.equal(#t.errors == 0, woken)
    assert.is_true(#t.errors <= 1)
  end))
end)
