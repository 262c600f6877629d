-- Streams that receive and send Frames, and track when libzmq is done with them.
local helper = require("spec.helper")
local fixture = require("spec.zmq.fixture")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails
local LONG, data_of, has_module = fixture.LONG, fixture.data_of, fixture.has_module

describe("ZMQStream.on_recv without copy", function()
  after_each(helper.cleanup)

  it("gives a list of Frames", test(function(t)
    for _, copy in ipairs{false, {copy = false}} do
      local out, into = t:streams("PAIR", "PAIR")
      local received = {}
      into:on_recv(t.expect(function(frames)
        received[#received + 1] = frames
      end, 2), copy)
      out:send_multipart{"a", "", LONG}
      out:send("b")
      t:run_until(function() return #received == 2 end)
      assert.same({"a", "", LONG}, data_of(received[1]))
      assert.same({"b"}, data_of(received[2]))
      assert.is_true(received[1][1]:more())
      assert.is_false(received[1][3]:more())
    end
  end))

  it("gives the stream and a list of Frames to on_recv_stream", test(function(t)
    local out, into = t:streams("PAIR", "PAIR")
    local seen
    into:on_recv_stream(t.expect(function(stream, frames)
      assert.equal(into, stream)
      seen = data_of(frames)
    end), {copy = false})
    out:send("a")
    t:run_until(function() return seen end)
    assert.same({"a"}, seen)
  end))

  it("gives Frames as arguments when told to unpack", test(function(t)
    local out, into = t:streams("PAIR", "PAIR")
    local seen
    into:on_recv(t.expect(function(...)
      seen = helper.pack(...)
    end), {copy = false, unpack = true})
    out:send_multipart{"a", LONG}
    t:run_until(function() return seen end)
    assert.equal(2, seen.n)
    assert.same({"a", LONG}, data_of(seen))
  end))

  it("gives strings again when copy is true, nil or left out", test(function(t)
    local out, into = t:streams("PAIR", "PAIR")
    local seen
    local function on_recv(frames) seen = frames[1] end
    into:on_recv(on_recv, false)
    for _, copy in ipairs{true, {}, {copy = true}, "nothing"} do
      if copy == "nothing" then copy = nil end
      seen = nil
      into:on_recv(on_recv, copy)
      out:send("text")
      t:run_until(function() return seen end)
      assert.equal("text", seen)
    end
    raises("bad argument #2 to 'on_recv' (boolean expected, got number)",
      into.on_recv, into, on_recv, 0)
    raises("bad argument #2 to 'on_recv' (boolean expected, got string)",
      into.on_recv, into, on_recv, {copy = "no"})
  end))

  it("loses no message to errors of the callback", test(function(t)
    t:expect_errors()
    local out, into = t:streams("PAIR", "PAIR")
    local seen = {}
    into:on_recv(function(frames)
      seen[#seen + 1] = frames[1]:data()
      if #seen % 2 == 1 then error("odd") end
    end, false)
    for i = 1, 10 do out:send(tostring(i)) end
    t:run_until(function() return #seen == 10 end)
    assert.same({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}, seen)
    assert.equal(5, #t.errors)
  end))

  it("gives Frames that last, whatever comes after them", test(function(t)
    local out, into = t:streams("PAIR", "PAIR", "tcp")
    local frames = {}
    into:on_recv(function(frame) frames[#frames + 1] = frame end, {copy = false, unpack = true})
    for i = 1, 300 do
      out:send(i % 2 == 0 and tostring(i) or LONG .. i)
    end
    t:run_until(function() return #frames == 300 end)
    into:close()
    collectgarbage()
    for i = 1, 300 do
      assert.equal(i % 2 == 0 and tostring(i) or LONG .. i, frames[i]:data())
    end
  end))

  it("survives a finalizer that closes the stream while a message becomes Lua's", test(function(t)
    local large = LONG:rep(50) -- makes the collector work
    for _, copy in ipairs{true, false} do
      for _, unpack in ipairs{true, false} do
        local out, into = t:streams("PAIR", "PAIR")
        local calls, went_off = 0, false
        helper.apart(function()
          t.bomb = helper.finalized(function()
            went_off = true
            into:close()
          end)
        end)
        into:on_recv(function()
          calls = calls + 1
          t.bomb = nil
        end, {copy = copy, unpack = unpack})
        t:run_until(function()
          for _ = 1, 20 do out:send_multipart{large, large, large} end
          return into:closed()
        end)
        assert.is_true(went_off and calls > 0)
      end
    end
  end))
end)

describe("ZMQStream.send of Frames", function()
  after_each(helper.cleanup)

  it("takes them like strings, mixed with them", test(function(t)
    local out, into = t:streams("PAIR", "PAIR")
    local seen = {}
    into:on_recv(function(frames) seen[#seen + 1] = frames end)
    local frame = zmq.Frame(LONG)
    assert.is_true(out:send(frame))
    assert.is_true(out:send_multipart{"a", frame, zmq.Frame("")})
    assert.is_true(out:send_string("text"))
    local many = {}
    for i = 1, 20 do many[i] = i % 2 == 0 and frame or tostring(i) end
    assert.is_true(out:send_multipart(many))
    t:run_until(function() return #seen == 4 end)
    assert.same({LONG}, seen[1])
    assert.same({"a", LONG, ""}, seen[2])
    assert.same({"text"}, seen[3])
    assert.equal(LONG, seen[4][20])
    assert.equal("19", seen[4][19])
    assert.is_false(frame:closed())
  end))

  it("forwards what was received without copying it, also through the queue", test(function(t)
    local source, a = t:pair("PAIR", "PAIR")
    local b, sink = t:socket("PUSH"), t:socket("PULL")
    local ZMQStream = require("zmqloop").ZMQStream
    local from, to = t:keep(ZMQStream(a, t.loop)), t:keep(ZMQStream(b, t.loop))
    local pointers = {}
    from:on_recv(t.expect(function(frames)
      pointers[#pointers + 1] = frames[1]:pointer()
      assert.is_true(to:send_multipart(frames))
      for _, frame in ipairs(frames) do frame:close() end
    end, 3), false)
    local function forward()
      assert(source:send_multipart{LONG, "end"})
      local wanted = #pointers + 1
      t:run_until(function() return #pointers == wanted end)
    end
    forward()
    forward()
    assert.equal(2, to:queued())
    assert(to:connect(t:bind(sink)))
    t:run_until(function() return to:queued() == 0 end)
    forward()
    for i = 1, 3 do
      local frames = sink:recv_multipart(0, false)
      assert.same({LONG, "end"}, data_of(frames))
      assert.equal(pointers[i], frames[1]:pointer())
    end
  end))

  it("keeps their order with strings, queued or not", test(function(t)
    local out, into = t:stream("PUSH"), t:stream("PULL")
    local seen = {}
    into:on_recv(function(frames) seen[#seen + 1] = frames[1] end)
    local function send(i)
      assert(out:send(i % 3 == 0 and zmq.Frame(tostring(i)) or tostring(i)))
    end
    for i = 1, 50 do send(i) end
    assert(out:connect(t:bind(into)))
    for i = 51, 100 do send(i) end
    t:run_until(function() return #seen == 100 end)
    for i = 1, 100 do assert.equal(tostring(i), seen[i]) end
  end))

  it("does not mind what happens to a frame afterwards", test(function(t)
    local out, into = t:stream("PUSH"), t:socket("PULL")
    local frame = zmq.Frame(LONG)
    assert(out:send(frame))
    frame:close()
    assert(out:connect(t:bind(into)))
    t:run_until(function() return out:queued() == 0 end)
    assert.equal(LONG, into:recv())
    raises("bad argument #1 to 'send' (frame is closed)", out.send, out, frame)
    raises("(frame 2: frame is closed)", out.send_multipart, out, {"a", frame})
  end))

  it("reports them as they were given", test(function(t)
    local out = t:streams("PUSH", "PULL")
    local frame = zmq.Frame(LONG)
    local reported = {}
    out:on_send(t.expect(function(frames, status)
      assert.is_true(status)
      reported[#reported + 1] = frames
    end, 2))
    local list = {"a", frame}
    assert(out:send_multipart(list, t.expect(function(frames)
      assert.equal(frame, frames[2])
    end)))
    list[1] = "changed"
    assert(out:send(frame))
    t:run_until(function() return #reported == 2 end)
    assert.equal("a", reported[1][1])
    assert.equal(frame, reported[1][2])
    assert.same({frame}, reported[2])
  end))

  it("refuses them when the queue is full, and takes them when it is not", test(function(t)
    local out = t:stream("PUSH")
    out:set_send_hwm(2)
    local frame = zmq.Frame(LONG)
    assert(out:send(frame))
    assert(out:send_multipart{"a", frame})
    fails("EAGAIN", out:send(frame))
    fails("EAGAIN", out:send("a", {track = true}))
    assert.equal(2, out:queued())
    out:set_send_hwm(0, 3 * #LONG + 1)
    assert(out:send(frame))
    fails("EAGAIN", out:send(frame))
    assert.equal(3, out:close())
  end))

  it("tells what libzmq refuses", test(function(t)
    local router = t:stream("ROUTER", {router_mandatory = 1})
    local frame = zmq.Frame(LONG)
    t:bind(router)
    fails("EHOSTUNREACH", router:send_multipart{"nobody", frame})
    assert.equal(LONG, frame:data())
    local pull = t:stream("PULL")
    local message = fails("ENOTSUP", pull:send(frame))
    assert.equal("ENOTSUP: operation not supported", message)
    if not zmq.has("draft") then
      message = fails("ENOTSUP", router:send("a", {routing_id = 1}))
      assert.matches("without drafts", message)
      fails("ENOTSUP", router:send("a", {group = "news", callback = t.expect(print, 0)}))
      assert.is_false(router:sending())
    end
  end))

  it("checks its options before anything is sent", test(function(t)
    local out, into = t:pair("PAIR", "PAIR")
    out = t:keep(require("zmqloop").ZMQStream(out, t.loop))
    local frame = zmq.Frame("x")
    raises("unknown option 'trak'", out.send, out, frame, {trak = true})
    raises("integer expected, got string", out.send, out, frame, {routing_id = "x"})
    raises("group as a string expected, got number", out.send, out, frame, {group = 5})
    raises("integer expected, got string", out.send, out, frame, {flags = "x"})
    raises("callback must be callable", out.send, out, frame, {callback = 5, track = true})
    raises("string or Frame expected, got number", out.send, out, 5)
    raises("(frame 2: string or Frame expected, got boolean)",
      out.send_multipart, out, {frame, true})
    assert(out:send("alone", {flags = zmq.DONTWAIT, copy = false}))
    assert.same({"alone"}, into:recv_multipart())
  end))

  it("gives a tracker when asked for one", test(function(t)
    local out, into = t:stream("PUSH"), t:socket("PULL")
    for _, data in ipairs{"short", LONG} do
      for _, sent in ipairs{data, zmq.Frame(data)} do
        local told = false
        local tracker = out:send_multipart({sent, sent}, {track = true, callback = t.expect(
          function(frames, status)
            assert.equal(sent, frames[1])
            told = status
          end)})
        assert.is_false(tracker:done())
        if out:queued() > 0 then assert(out:connect(t:bind(into))) end
        t:run_until(function() return told end)
        assert.is_false(tracker:done())
        local frames = into:recv_multipart(0, false)
        frames[1]:close()
        assert.is_false(tracker:done())
        frames[2]:close()
        assert.is_true(tracker:wait(0))
      end
    end
  end))

  it("is done with what a closed stream had queued", test(function(t)
    local out = t:stream("PUSH")
    local tracker = out:send(zmq.Frame(LONG), {track = true})
    assert.is_false(tracker:done())
    assert.equal(1, out:close())
    assert.is_true(tracker:done())
  end))

  it("loses nothing when memory runs out", test(function(t)
    if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
    for _, mode in ipairs{"fail_from", "fail_once"} do
      local output, status = t:run_child(helper.program("frames_without_memory"), {mode}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end
  end))
end)
