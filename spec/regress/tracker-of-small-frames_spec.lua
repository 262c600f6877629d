-- A stream left the small frames of a message to the next receive, which overwrites them. For a
-- sender in the same process that tracks its message, libzmq seemed to hold it until another
-- message arrived.
local helper = require("spec.helper")
local test = helper.test

describe("a tracker of a message of small frames", function()
  after_each(helper.cleanup)

  for _, how in ipairs{"loop", "flush"} do
    it("is done when a stream in this process has received it, by " .. how, test(function(t)
      for frames = 1, 5 do
        local pull, push = t:streams("PULL", "PUSH")
        local message = {}
        for i = 1, frames do message[i] = tostring(i) end
        local tracker = push:send_multipart(message, {track = true})
        assert.is_false(tracker:done())
        local seen
        pull:on_recv(function(list) seen = list end)
        if how == "flush" then pull:flush() end
        t:run_until(function() return seen end)
        assert.same(message, seen)
        assert.is_true(tracker:done())
      end
    end))
  end
end)
