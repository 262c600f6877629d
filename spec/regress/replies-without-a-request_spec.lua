-- A REP stream without a request to answer, or that had already answered, queued the reply for the
-- next request: that client got it, and from then on each client the reply to the previous one.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = zmqloop.zmq
local fails, test = helper.fails, helper.test

-- The reply to a request of a plain REQ.
local function ask(t, req, text)
  assert(req:send(text))
  local reply
  t:run_until(function()
    reply = req:recv_multipart(zmq.DONTWAIT)
    return reply
  end)
  return table.concat(reply, " ")
end

describe("a REP stream with nothing to answer", function()
  after_each(helper.cleanup)

  local function own() error("it was reported") end
  local ways = {
    send = function(rep, text) return rep:send(text) end,
    send_string = function(rep, text) return rep:send_string(text) end,
    send_multipart = function(rep, text) return rep:send_multipart{text, "more"} end,
    ["send of a Frame"] = function(rep, text) return rep:send(zmq.Frame(text)) end,
    ["send with a callback"] = function(rep, text) return rep:send(text, own) end,
    ["send with a tracker"] = function(rep, text) return rep:send(text, {track = true}) end,
    ["send_multipart of Frames, tracked"] = function(rep, text)
      return rep:send_multipart({zmq.Frame(text), "more"}, {track = true, callback = own})
    end,
    ["send that is to be early elsewhere"] = function(rep, text)
      return rep:send(text, {early = false})
    end,
  }
  for name, send in pairs(ways) do
    it("refuses, and the next client gets its own answer (" .. name .. ")", test(function(t)
      local rep = t:stream("REP")
      local req = t:socket("REQ", {connect = t:bind(rep)})
      fails("EFSM", send(rep, "before any request"))
      rep:on_recv(function(frames)
        assert.is_true(rep:send("to " .. frames[1]))
        fails("EFSM", send(rep, "once more"))
      end)
      for i = 1, 3 do
        assert.equal("to " .. i, ask(t, req, tostring(i)))
        fails("EFSM", send(rep, "later"))
        assert.equal(0, rep:queued())
      end
      assert.equal(0, rep:flush(zmq.POLLOUT))
    end))
  end

  it("refuses what tasks send and wait for", test(function(t)
    local rep = t:stream("REP")
    local req = t:socket("REQ", {connect = t:bind(rep)})
    local task = t.loop:spawn(function()
      fails("EFSM", rep:send_wait("early"))
      fails("EFSM", rep:send_wait({"early", "too"}, 1))
      for i = 1, 3 do
        assert.is_true(rep:send_wait("to " .. rep:recv()[1]))
        fails("EFSM", rep:send_wait("again " .. i))
      end
    end)
    for i = 1, 3 do assert.equal("to " .. i, ask(t, req, tostring(i))) end
    t:run_until(function() return task:done() end)
    task:result()
  end))

  it("queues a reply that is to be early, which answers the next request in place of others",
    test(function(t)
      local rep = t:stream("REP")
      local req = t:socket("REQ", {connect = t:bind(rep)})
      local reported = {}
      local function report(frames) reported[#reported + 1] = frames[1] end
      assert.is_true(rep:send("early 1", {early = true, callback = report}))
      assert.is_true(rep:send_multipart({zmq.Frame("early 2"), "x"}, {early = true}))
      assert.equal(2, rep:queued())
      fails("EFSM", rep:send("not early"))
      rep:on_recv(function(frames)
        if rep:queued() > 0 then
          fails("EFSM", rep:send("to " .. frames[1]))
        else
          rep:send("to " .. frames[1])
        end
      end)
      assert.equal("early 1", ask(t, req, "1"))
      assert.equal("early 2 x", ask(t, req, "2"))
      assert.equal("to 3", ask(t, req, "3"))
      t:settle()
      assert.equal("early 1", reported[1])
    end))

  it("refuses also where the client has gone that was to be answered", test(function(t)
    local rep = t:stream("REP")
    local address = t:bind(rep)
    local gone, requests = t:socket("REQ", {connect = address, linger = 0}), 0
    rep:on_recv(function() requests = requests + 1 end)
    gone:send("never mind")
    t:run_until(function() return requests == 1 end)
    gone:close()
    t:settle()
    assert.is_true(rep:send("to nobody"))
    fails("EFSM", rep:send("to whom?"))
    rep:on_recv(function(frames) rep:send("to " .. frames[1]) end)
    local req = t:socket("REQ", {connect = address})
    assert.equal("to me", ask(t, req, "me"))
    assert.equal("to me again", ask(t, req, "me again"))
  end))

  it("refuses while a request is received that nobody has seen", test(function(t)
    local rep = t:stream("REP")
    local req = t:socket("REQ", {connect = t:bind(rep)})
    local other = t:address()
    assert(rep:connect(other))
    req:send("1")
    t:run_until(function() return rep.socket:poll(0) ~= 0 end)
    assert(rep:disconnect(other)) -- before which the stream takes what libzmq has begun to read
    fails("EFSM", rep:send("stray"))
    fails("EFSM", rep:send_multipart{"stray", "too"})
    rep:on_recv(function(frames) rep:send("to " .. frames[1]) end)
    local reply
    t:run_until(function()
      reply = req:recv(zmq.DONTWAIT)
      return reply
    end)
    assert.equal("to 1", reply)
  end))

  it("is no REQ: what that sends before its reply goes on waiting", test(function(t)
    local rep, req = t:streams("REP", "REQ")
    local replies = {}
    rep:on_recv(function(frames) rep:send("to " .. frames[1]) end)
    req:on_recv(function(frames) replies[#replies + 1] = frames[1] end)
    for i = 1, 3 do assert.is_true(req:send(tostring(i))) end
    assert.equal(2, req:queued())
    t:run_until(function() return #replies == 3 end)
    assert.same({"to 1", "to 2", "to 3"}, replies)
  end))
end)
