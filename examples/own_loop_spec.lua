-- How to test code that runs on a loop: each test is a coroutine on a loop and a
-- context of its own, which are closed after it, as PyZMQ's AsyncTestCase does
-- with what get_new_ioloop() gives.
-- Run with: busted examples/own_loop_spec.lua
-- luacheck: std +busted
local async = require("zmqloop.testing").async

-- What is tested: a service that answers in upper case, the last after a second.
local function serve(stream)
  stream:on_recv(function(frames)
    if frames[1] == "last" then
      stream.io_loop:call_later(1, stream.send, stream, "LAST")
    else
      stream:send(frames[1]:upper())
    end
  end)
end

describe("the service", function()
  it("answers in upper case", async(function(t)
    local service = t:stream("REP", {bind = "inproc://service"})
    local client = t:stream("REQ", {connect = "inproc://service"})
    serve(service)

    local answers = {}
    client:on_recv(function(frames)
      answers[#answers + 1] = frames[1]
      if #answers == 2 then t:stop() end
    end)
    client:send("one")
    client:send("two") -- leaves when the first answer has come
    t:wait()

    assert.same({"ONE", "TWO"}, answers)
  end, {timeout = 5}))

  it("answers the last after a second, of a clock that does not wait", async(function(t)
    local service = t:stream("REP", {bind = "inproc://service"})
    local client = t:stream("REQ", {connect = "inproc://service"})
    serve(service)

    client:on_recv(function(frames) t:stop(frames[1]) end)
    client:send("last")

    assert.equal("LAST", t:wait())
    assert.equal(1, t.loop:time())
  end, {clock = "virtual"}))
end)
