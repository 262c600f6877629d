-- Peers that die.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local test = helper.test

describe("a peer process", function()
  after_each(helper.cleanup)

  local ECHO = [[
    local name, endpoint = ...
    local loop = new_loop()
    local stream = zmqloop.ZMQStream(zmqloop.zmq.Context():socket("ROUTER"), loop)
    assert(stream:bind(endpoint))
    stream:on_recv(function(frames)
      frames[#frames + 1] = name
      stream:send_multipart(frames)
    end)
    print((stream:get("last_endpoint")))
    loop:start()
  ]]

  it("killed and started again is heard again, in order, nothing twice", test(function(t)
    local first = t:child(ECHO, {"first", "tcp://127.0.0.1:*"})
    local endpoint = first:line()
    local stream = t:stream("DEALER", {reconnect_ivl = 10})
    stream:connect(endpoint)
    local last, heard, sent = 0, {}, 0
    stream:on_recv(function(frames)
      local number = tonumber(frames[1])
      assert(number > last, "out of order or twice")
      last = number
      heard[frames[2]] = true
    end)
    local sender = zmqloop.PeriodicCallback(function()
      sent = sent + 1
      assert.is_true(stream:send(tostring(sent)))
    end, 2, t.loop)
    sender:start()
    t:run_until(function() return heard.first end)
    first:kill("KILL")
    first:finish()
    local second = t:child(ECHO, {"second", endpoint})
    assert.equal(endpoint, second:line())
    t:run_until(function() return heard.second end)
    sender:stop()
  end))

  it("that is gone for good holds up nobody", test(function(t)
    local peer = t:child(ECHO, {"peer", "tcp://127.0.0.1:*"})
    local stream = t:stream("DEALER", {sndhwm = 10})
    stream:connect((peer:line()))
    local heard = false
    stream:on_recv(function() heard = true end)
    stream:send("1")
    t:run_until(function() return heard end)
    peer:kill("KILL")
    peer:finish()
    for i = 1, 2000 do assert.is_true(stream:send(tostring(i))) end
    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(t.expect(function() t.loop:stop() end))
    push:send("x")
    t:start()
    assert.is_true(stream:queued() > 0)
    assert.is_true(stream:close() > 0)
  end))
end)
