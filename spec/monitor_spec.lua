local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local monitor = require("zmqloop.monitor")
local async, test, raises, fails = helper.async, helper.test, helper.raises, helper.fails

local zmq = zmqloop.zmq

-- A function for monitor() that keeps the events, by name and in order.
local function recorder()
  local seen = {list = {}}
  return seen, function(event)
    -- a lost connection is tried every few milliseconds: the collector could not keep up
    if #seen.list < 10 then collectgarbage() end
    seen.list[#seen.list + 1] = event
    seen[event.name] = event
  end
end

local function names(seen)
  local list = {}
  for i, event in ipairs(seen.list) do list[i] = event.name end
  return list
end

describe("monitor", function()
  after_each(helper.cleanup)

  it("tells what happens at both ends, each event with its endpoint", async(function(t)
    local pull, push = t:socket("PULL"), t:socket("PUSH")
    local at_pull, on_pull = recorder()
    local at_push, on_push = recorder()
    assert.is_true(pull:monitor(on_pull, "all", t.loop))
    assert.is_true(push:monitor(on_push, nil, t.loop))
    local endpoint = t:bind(pull, "tcp")
    assert.is_true(push:connect(endpoint))
    t:wait_until(function()
      return at_pull.HANDSHAKE_SUCCEEDED and at_push.HANDSHAKE_SUCCEEDED
    end)
    assert.same({"LISTENING", "ACCEPTED", "HANDSHAKE_SUCCEEDED"}, names(at_pull))
    for _, event in ipairs(at_push.list) do
      assert.is_true(event.name ~= "CONNECTED" or event.endpoint == endpoint)
    end
    assert.equal(zmq.EVENT_CONNECTED, at_push.CONNECTED.event)
    assert.equal(endpoint, at_pull.LISTENING.endpoint)
    assert.equal(endpoint, at_pull.ACCEPTED.endpoint)
    pull:disable_monitor()
    t:wait_until(function() return at_pull.MONITOR_STOPPED end)
    assert.is_nil(at_pull.list[5])
    assert.is_nil(at_push.MONITOR_STOPPED)
  end))

  it("D12: values are what the event says: descriptors, errors, intervals", async(function(t)
    local pull, push = t:socket("PULL"), t:socket("PUSH", {reconnect_ivl = 7})
    local at_pull, on_pull = recorder()
    local at_push, on_push = recorder()
    pull:monitor(on_pull, "all", t.loop)
    push:monitor(on_push, "all", t.loop)
    local endpoint = t:bind(pull, "tcp")
    push:connect(endpoint)
    t:wait_until(function() return at_pull.ACCEPTED and at_push.CONNECTED end)
    for _, event in ipairs{at_pull.LISTENING, at_pull.ACCEPTED, at_push.CONNECTED} do
      assert.is_true(event.value > 2, event.name)
      assert.is_nil(event.error)
    end
    if at_push.CONNECT_DELAYED then
      assert.equal(zmq.EINPROGRESS, at_push.CONNECT_DELAYED.value)
      assert.equal("EINPROGRESS", at_push.CONNECT_DELAYED.error)
    end
    -- libzmq forgets the cause while it tells the monitor
    local second = t:socket("PULL")
    local at_second, on_second = recorder()
    second:monitor(on_second, "BIND_FAILED", t.loop)
    fails("EADDRINUSE", second:bind(endpoint))
    t:wait_until(function() return at_second.BIND_FAILED end)
    assert.equal(zmq.EADDRINUSE, at_second.BIND_FAILED.value)
    assert.equal("EADDRINUSE", at_second.BIND_FAILED.error)
    pull:close()
    t:wait_until(function() return at_push.CONNECT_RETRIED and at_pull.MONITOR_STOPPED end)
    assert.is_not_nil(at_push.DISCONNECTED)
    assert.is_true(at_push.CONNECT_RETRIED.value >= 7)
    assert.is_nil(at_push.CONNECT_RETRIED.error)
  end))

  it("names protocol errors", async(function(t)
    local pull = t:socket("PULL", {curve_server = true, curve_secretkey = ("0"):rep(40)})
    local push = t:socket("PUSH")
    local seen, record = recorder()
    pull:monitor(record, {"HANDSHAKE_FAILED_PROTOCOL"}, t.loop)
    assert.is_true(push:connect(t:bind(pull, "tcp")))
    t:wait_until(function() return seen.HANDSHAKE_FAILED_PROTOCOL end)
    local event = seen.HANDSHAKE_FAILED_PROTOCOL
    assert.equal("ZMTP_MECHANISM_MISMATCH", event.error)
    assert.equal(zmq.PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH, event.value)
  end))

  it("takes events by names, by mask, and no others", test(function(t)
    local endpoints = {}
    for _, events in ipairs{{"LISTENING"}, {"EVENT_LISTENING", "LISTENING"}, "LISTENING",
        {"listening", "bind_failed"}, "Listening", zmq.EVENT_LISTENING,
        zmq.EVENT_LISTENING + zmq.EVENT_BIND_FAILED} do
      local pull, push = t:socket("PULL"), t:socket("PUSH")
      local seen, record = recorder()
      pull:monitor(record, events, t.loop)
      endpoints[#endpoints + 1] = t:bind(pull, "tcp")
      push:connect(endpoints[#endpoints])
      push:send("x")
      assert.equal("x", pull:recv())
      pull:close()
      t:run_until(function() return seen.LISTENING end)
      t:settle()
      assert.same({"LISTENING"}, names(seen))
    end
  end))

  it("ends by itself when the socket is closed, in whatever way", async(function(t)
    for _, close in ipairs{
      function(socket) socket:close() end,
      function(socket) socket:close(0) end,
      function(_, stream) stream:close() end,
    } do
      local socket = t:socket("PULL")
      local stream = zmqloop.ZMQStream(socket, t.loop)
      local seen, record = recorder()
      assert.is_true(stream:monitor(record))
      t:bind(socket, "tcp")
      close(socket, stream)
      t:wait_until(function() return seen.MONITOR_STOPPED end)
      assert.same({"LISTENING", "MONITOR_STOPPED"}, names(seen))
      assert.equal(0, seen.MONITOR_STOPPED.value)
      assert.equal("", seen.MONITOR_STOPPED.endpoint)
    end
    assert.is_true(t.ctx:term()) -- the monitors' own sockets are gone
  end))

  it("ends when the socket is collected", async(function(t)
    local seen, record = recorder()
    helper.apart(function()
      local socket = t.ctx:socket("PULL")
      assert.is_true(socket:monitor(record, "all", t.loop))
    end)
    t:wait_until(function()
      collectgarbage()
      return seen.MONITOR_STOPPED
    end)
    assert.is_true(t.ctx:term())
  end))

  it("is gone with its loop; the socket goes on", async(function(t)
    local loop = zmqloop.IOLoop(helper.loop_options())
    local pull, push = t:socket("PULL"), t:socket("PUSH")
    assert.is_true(pull:monitor(function() error("no callback after close") end, "all", loop))
    local endpoint = t:bind(pull, "tcp")
    assert.matches("3 sockets", tostring(t.ctx))
    loop:close()
    assert.matches("2 sockets", tostring(t.ctx))
    push:connect(endpoint)
    push:send("x")
    assert.equal("x", pull:recv())
    pull:close()
    push:close()
    assert.is_true(t.ctx:term())
  end))

  it("does not keep a context from ending, though the loop runs no more", async(function(t)
    local pull = t:socket("PULL")
    assert.is_true(pull:monitor(function() end, "all", t.loop))
    fails("EBUSY", t.ctx:term())
    pull:close()
    assert.is_true(t.ctx:term())
  end))

  it("ends with destroy() and with shutdown() of the context", test(function(t)
    for _ = 1, 3 do
      local ctx = zmq.Context()
      local _, record = recorder()
      local sockets = {}
      for i = 1, 3 do
        sockets[i] = ctx:socket("PULL", {linger = 0})
        assert.is_true(sockets[i]:monitor(record, "all", t.loop))
        assert(sockets[i]:bind("tcp://127.0.0.1:*"))
      end
      sockets[2]:close()
      ctx:shutdown()
      t:settle()
      assert.is_true(ctx:destroy(0))
    end
  end))

  it("a second one takes the place of the first, which is told", test(function(t)
    local socket = t:socket("PULL")
    local first, record_first = recorder()
    local second, record_second = recorder()
    assert.is_true(socket:monitor(record_first, "all", t.loop))
    assert.is_true(socket:monitor(record_second, "all", t.loop))
    t:bind(socket, "tcp")
    t:run_until(function() return first.MONITOR_STOPPED and second.LISTENING end)
    assert.same({"MONITOR_STOPPED"}, names(first))
    assert.is_true(socket:monitor(nil))
    t:run_until(function() return second.MONITOR_STOPPED end)
    socket:disable_monitor()
    socket:disable_monitor()
    t:settle()
    assert.same({"LISTENING", "MONITOR_STOPPED"}, names(second))
  end))

  it("may be set, ended and closed in its own callback", async(function(t)
    local socket = t:socket("PULL")
    local again = {}
    assert.is_true(socket:monitor(function(event)
      again[#again + 1] = event.name
      socket:monitor(function(inner)
        again[#again + 1] = inner.name
        socket:close()
      end, "all", t.loop)
      if event.name == "LISTENING" then t:bind(socket, "tcp") end
    end, {"LISTENING"}, t.loop))
    t:bind(socket, "tcp")
    t:wait_until(function() return #again >= 3 end)
    assert.same({"LISTENING", "LISTENING", "MONITOR_STOPPED"}, again)
    assert.is_true(socket:closed())
  end))

  it("an error in the callback is the loop's, and the events go on", test(function(t)
    t:expect_errors()
    local socket = t:socket("PULL")
    assert.is_true(socket:monitor(function(event) error(event.name, 0) end, "all", t.loop))
    t:bind(socket, "tcp")
    t:bind(socket, "tcp")
    socket:close()
    t:run_until(function() return #t.errors == 3 end)
    assert.same({"LISTENING", "LISTENING", "MONITOR_STOPPED"}, t.errors)
    assert.is_true(t.ctx:term())
  end))

  it("many at a time do not mix their events, nor leave anything behind", test(function(t)
    for round = 1, 5 do
      local all = {}
      for i = 1, 20 do
        local socket = t:socket("PULL")
        local seen, record = recorder()
        assert.is_true(socket:monitor(record, {"LISTENING"}, t.loop))
        all[i] = {socket = socket, seen = seen, endpoint = t:bind(socket, "tcp")}
      end
      for i, each in ipairs(all) do
        if (i + round) % 2 == 0 then each.socket:close() end
      end
      t:run_until(function()
        for _, each in ipairs(all) do
          if not each.seen.LISTENING then return false end
        end
        return true
      end)
      for _, each in ipairs(all) do
        assert.equal(each.endpoint, each.seen.LISTENING.endpoint)
        assert.equal(1, #each.seen.list)
        each.socket:close()
      end
    end
    t:settle()
    assert.is_true(t.ctx:term())
  end))

  it("more events than anybody reads do not stop libzmq's threads", async(function(t)
    local pull = t:socket("PULL")
    local pair = assert(pull:get_monitor_socket("LISTENING"))
    for _ = 1, 3000 do
      assert.is_true(pull:bind("tcp://127.0.0.1:*"))
      assert.is_true(pull:unbind(pull:get("last_endpoint")))
    end
    pull:close()
    pair:close()
    assert.is_true(t.ctx:term())
  end))

  it("arguments are checked", async(function(t)
    local socket = t:socket("PULL")
    raises("bad argument #1 to 'monitor'", socket.monitor, socket, 5)
    raises("unknown event 'CONECTED'", socket.monitor, socket, print, {"CONECTED"})
    raises("unknown event 'ALLES'", socket.monitor, socket, print, "ALLES")
    raises("unknown event '5'", socket.monitor, socket, print, {5})
    for _, bad in ipairs{0, -1, 1.5, 65536, 2 ^ 60} do
      raises("bad argument #2 to 'monitor'", socket.monitor, socket, print, bad)
    end
    raises("bad argument #2 to 'monitor'", socket.monitor, socket, print, true)
    raises("bad argument #3 to 'monitor'", socket.monitor, socket, print, "all", "no loop")
    socket:close()
    raises("socket is closed", socket.monitor, socket, print)
    raises("socket is closed", socket.disable_monitor, socket)
    raises("socket is closed", socket.get_monitor_socket, socket)
    local stream = t:stream("PULL")
    stream:close()
    raises("stream is closed", stream.monitor, stream, print)
    raises("stream is closed", stream.disable_monitor, stream)
    assert.is_true(t.ctx:term())
  end))
end)

describe("get_monitor_socket()", function()
  after_each(helper.cleanup)

  it("is the same socket until it is closed or disabled", async(function(t)
    local pull = t:socket("PULL")
    local pair = t:keep(pull:get_monitor_socket())
    assert.equal(pair, pull:get_monitor_socket())
    collectgarbage()
    assert.equal(pair, pull:get_monitor_socket())
    pull:disable_monitor()
    local event = monitor.recv_monitor_message(pair)
    assert.equal("MONITOR_STOPPED", event.name)
    local other = t:keep(pull:get_monitor_socket())
    assert.not_equal(pair, other)
    other:close()
    assert.not_equal(other, t:keep(pull:get_monitor_socket()))
  end))

  it("is read with recv_monitor_message, or as frames", async(function(t)
    local pull = t:socket("PULL")
    local pair = t:keep(pull:get_monitor_socket())
    local _, _, name = monitor.recv_monitor_message(pair, zmq.DONTWAIT)
    assert.equal("EAGAIN", name)
    local endpoint = t:bind(pull, "tcp")
    local event = monitor.recv_monitor_message(pair)
    assert.equal("LISTENING", event.name)
    assert.equal(endpoint, event.endpoint)
    pull:unbind(endpoint)
    local frames = pair:recv_multipart()
    event = monitor.parse_monitor_message(frames)
    assert.equal("CLOSED", event.name)
    assert.equal(zmq.EVENT_CLOSED, event.event)
  end))

  it("may be closed before the socket, after it, or dropped", async(function(t)
    for _ = 1, 3 do
      local first, second = t:socket("PULL"), t:socket("PULL")
      local pair = first:get_monitor_socket()
      pair:close()
      t:bind(first, "tcp")
      first:close()
      pair = second:get_monitor_socket()
      t:bind(second, "tcp")
      second:close()
      pair:close()
      helper.apart(function()
        local third = t.ctx:socket("PULL", {linger = 0})
        assert(third:get_monitor_socket())
        t:bind(third, "tcp")
      end)
      collectgarbage()
      collectgarbage()
    end
    assert.is_true(t.ctx:term())
  end))

  it("parse raises for what is no event", function()
    local parse = monitor.parse_monitor_message
    for _, bad in ipairs{{}, {"x", "y"}, {"123456"}, {"123456", "x", "y"}, {1, 2}, {"123456", 2}} do
      raises("bad argument #1 to 'parse_monitor_message'", parse, bad)
    end
    raises("bad argument #1 to 'parse_monitor_message'", parse)
    raises("bad argument #1 to 'parse_monitor_message'", parse, "123456")
    assert.equal("UNKNOWN", parse({"\255\254\1\0\0\0", ""}).name)
  end)
end)
