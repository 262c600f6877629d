-- A close callback that ran its loop, in which a callback failed whose on_error() function waited,
-- ended the process: the loop was looked up in the wrong stack frame.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("on_error", function()
  after_each(helper.cleanup)

  it("is told that it cannot wait, in a loop that a callback runs", helper.test(function(t)
    local told
    t.loop:on_error(function()
      told = select(2, pcall(zmqloop.sleep, 0))
      t.loop:stop()
    end)
    local stream = t:stream("PULL")
    stream:set_close_callback(function()
      t.loop:add_callback(error, "raised", 0)
      t.loop:start()
    end)
    stream:close()
    assert.is_truthy(tostring(told):find("cannot wait") or tostring(told):find("attempt to yield")
      or tostring(told):find("only inside a task"), told)
  end))
end)
