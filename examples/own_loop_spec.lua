-- How to test code that runs on a loop: a fresh loop and context for each test,
-- as get_new_ioloop() of PyZMQ's AsyncTestCase gives, closed after it.
-- Run with: busted examples/own_loop_spec.lua
-- luacheck: std +busted
local zmqloop = require("zmqloop")

-- What is tested: a service that answers in upper case.
local function serve(stream)
  stream:on_recv(function(frames)
    stream:send(frames[1]:upper())
  end)
end

describe("the service", function()
  local loop, ctx

  before_each(function()
    loop, ctx = zmqloop.IOLoop(), zmqloop.zmq.Context()
    loop:on_error("raise") -- an error in a callback fails the test
    loop:call_later(5, error, "the test did not end in time")
  end)

  after_each(function()
    loop:close()
    ctx:destroy(0)
  end)

  it("answers in upper case", function()
    local service = zmqloop.ZMQStream(ctx:socket("REP", {bind = "inproc://service"}), loop)
    local client = zmqloop.ZMQStream(ctx:socket("REQ", {connect = "inproc://service"}), loop)
    serve(service)

    local answers = {}
    client:on_recv(function(frames)
      answers[#answers + 1] = frames[1]
      if #answers == 2 then loop:stop() end
    end)
    client:send("one")
    client:send("two") -- leaves when the first answer has come
    loop:start()

    assert.same({"ONE", "TWO"}, answers)
  end)
end)
