-- A message with more frames than a function can have arguments stayed with the stream, which
-- retried it for ever and received nothing else: with unpack, any peer could stop a service.
local helper = require("spec.helper")

-- Arguments are limited by the stack: 8000 slots in 5.1 and LuaJIT, a million
-- since 5.2.
local TOO_MANY = _VERSION == "Lua 5.1" and 9000 or 1100000

describe("a message too long to unpack", function()
  it("is one error, and what follows is received", helper.async(function(t)
    local log = t:expect_log("frames")
    local pull, push = t:streams("PULL", "PUSH")
    local frames = {}
    for i = 1, TOO_MANY do frames[i] = "" end
    assert.is_true(push:send_multipart(frames))
    assert.is_true(push:send_multipart{"a", "b"})
    local seen
    pull:on_recv(t.expect(function(...) seen = helper.pack(...) end), {unpack = true})
    t:wait_until(function() return seen end)
    assert.same({n = 2, "a", "b"}, seen)
    assert.equal(1, log.count)
  end))
end)
