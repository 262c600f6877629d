-- Frames: libzmq messages as Lua objects, and trackers of sent messages.
local helper = require("spec.helper")
local fixture = require("spec.zmq.fixture")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails
local LONG, data_of, has_module = fixture.LONG, fixture.data_of, fixture.has_module

describe("Frame", function()
  after_each(helper.cleanup)

  it("is made of a string, by a call or by new", function()
    assert.equal("data", zmq.Frame("data"):data())
    assert.equal("data", zmq.Frame.new("data"):data())
    raises("bad argument #1 to 'Frame' (string expected, got nil)", zmq.Frame)
    raises("string expected, got number", zmq.Frame, 5)
    raises("string expected, got table", zmq.Frame, {})
    raises("string expected, got userdata", zmq.Frame, zmq.Frame("data"))
  end)

  it("has a length and, as text, its bytes", function()
    for _, data in ipairs{"", "a", "a\0b\0", LONG} do
      local frame = zmq.Frame(data)
      assert.equal(#data, #frame)
      assert.equal(data, tostring(frame))
      assert.equal(data, frame:data())
      assert.is_false(frame:more())
    end
  end)

  it("gives parts of its bytes by the rules of string.sub", function()
    for _, data in ipairs{"", "a", "abcde", LONG} do
      local frame = zmq.Frame(data)
      for i = -7, 7 do
        assert.equal(data:sub(i), frame:sub(i))
        for j = -7, 7 do
          assert.equal(data:sub(i, j), frame:sub(i, j))
        end
      end
      assert.equal(data, frame:sub(-2^40, 2^40))
      assert.equal("", frame:sub(2^40))
    end
    local frame = zmq.Frame("abc")
    raises("bad argument #1 to 'sub' (integer expected, got nil)", frame.sub, frame)
    raises("bad argument #2 to 'sub' (integer expected, got string)", frame.sub, frame, 1, "2")
  end)

  it("is of no use after close, which may be called twice", test(function(t)
    local frame = zmq.Frame(LONG)
    assert.is_false(frame:closed())
    frame:close()
    frame:close()
    assert.is_true(frame:closed())
    for _, method in ipairs{"data", "sub", "pointer", "more", "get", "routing_id", "group"} do
      raises("frame is closed", frame[method], frame)
    end
    raises("frame is closed", tostring, frame)
    raises("frame is closed", function() return #frame end)
    local push = t:socket("PUSH")
    raises("bad argument #1 to 'send' (frame is closed)", push.send, push, frame)
    raises("(frame 2: frame is closed)", push.send_multipart, push, {"a", frame})
  end))

  it("is closed at the end of its scope in Lua 5.4", function()
    if _VERSION < "Lua 5.4" then return end
    local kept
    assert(load([[
      local zmq, keep = ...
      local frame <close> = zmq.Frame("data")
      keep(frame)
    ]]))(zmq, function(frame) kept = frame end)
    assert.is_true(kept:closed())
  end)

  it("is known by its type only", function()
    raises("bad self to 'data' (Frame expected, got table)", zmq.Frame.data, {})
    raises("bad self to 'close' (Frame expected, got no value)", zmq.Frame.close)
  end)

  it("is what recv gives without copy, and tells whether more follow", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    assert(a:send_multipart{"first", "", LONG})
    local first = b:recv(0, false)
    assert.equal("first", first:data())
    assert.is_true(first:more())
    assert.equal(1, first:get(zmq.MORE))
    assert.same({"", LONG}, data_of(b:recv_multipart(nil, false)))
    assert(a:send_multipart{"one", "two"})
    local frames = b:recv_multipart(0, false)
    assert.is_true(frames[1]:more())
    assert.is_false(frames[2]:more())
    assert.equal(0, frames[2]:get(zmq.MORE))
    fails("EAGAIN", b:recv(zmq.DONTWAIT, false))
    fails("EAGAIN", b:recv_multipart(zmq.DONTWAIT, false))
  end))

  it("comes from recv only when copy is false", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    for _ = 1, 2 do assert(a:send("data")) end
    assert.equal("data", b:recv(0, true))
    assert.same({"data"}, b:recv_multipart(0, true))
    raises("bad argument #2 to 'recv' (boolean expected, got number)", b.recv, b, 0, 1)
    raises("bad argument #2 to 'recv_multipart' (boolean", b.recv_multipart, b, 0, "no")
  end))

  it("is not changed by messages that come after it", test(function(t)
    local a, b = t:pair("PAIR", "PAIR", "tcp")
    local frames = {}
    for i = 1, 50 do
      assert(a:send(tostring(i)))
      assert(a:send(LONG .. i))
      frames[#frames + 1] = b:recv(0, false)
      frames[#frames + 1] = b:recv(0, false)
    end
    collectgarbage()
    for i = 1, 50 do
      assert.equal(tostring(i), frames[2 * i - 1]:data())
      assert.equal(LONG .. i, frames[2 * i]:data())
    end
  end))

  it("can be sent any number of times, to any socket", test(function(t)
    for _, transport in ipairs{"inproc", "tcp"} do
      local a, b = t:pair("PUSH", "PULL", transport)
      local c, d = t:pair("PUSH", "PULL", transport)
      for _, data in ipairs{"short", LONG} do
        local frame = zmq.Frame(data)
        for _ = 1, 4 do
          assert.is_true(a:send(frame))
          assert.is_true(c:send_multipart{frame, "between", frame})
        end
        frame:close()
        for _ = 1, 4 do
          assert.equal(data, b:recv())
          assert.same({data, "between", data}, d:recv_multipart())
        end
      end
    end
  end))

  it("shares its bytes with what is sent", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local frame = zmq.Frame(LONG)
    assert.equal("userdata", type(frame:pointer()))
    assert(a:send(frame))
    assert(a:send(frame, {copy = false}))
    assert(a:send_multipart{"a", frame})
    assert.equal(frame:pointer(), b:recv(0, false):pointer())
    local received = b:recv(0, false)
    assert.equal(frame:pointer(), received:pointer())
    assert.equal(frame:pointer(), b:recv_multipart(0, false)[2]:pointer())
    -- and on
    assert(b:send(received))
    assert.equal(frame:pointer(), a:recv(0, false):pointer())
  end))

  it("knows about its connection what libzmq knows", test(function(t)
    local pull, push = t:pair("PULL", "PUSH", "tcp")
    assert(push:send("data"))
    local frame = pull:recv(0, false)
    assert.equal("127.0.0.1", frame:get("Peer-Address"))
    assert.equal("PUSH", frame:get("Socket-Type"))
    assert.is_nil(frame:get("Something-Weird"))
    assert.is_nil(frame:get(9999))
    assert.is_nil(zmq.Frame("data"):get("Peer-Address"))
    raises("bad argument #1 to 'get' (string or integer expected, got nil)", frame.get, frame)
    raises("bad argument #1 to 'get' (string or integer", frame.get, frame, {})
  end))

  it("has the user id that the authenticator gave", test(function(t)
    local zap = t:socket("REP", {bind = "inproc://zeromq.zap.01"})
    local pull = t:socket("PULL", {zap_domain = "test"})
    assert(pull:bind("tcp://127.0.0.1:*"))
    local push = t:socket("PUSH", {connect = pull:get("last_endpoint")})
    assert(push:send("data"))
    local request = zap:recv_multipart()
    assert(zap:send_multipart{request[1], request[2], "200", "OK", "the user", ""})
    assert.equal("the user", pull:recv(0, false):get("User-Id"))
  end))

  it("has a routing id and a group, where libzmq has them", test(function(t)
    local frame = zmq.Frame("data")
    raises("bad argument #1 to 'routing_id' (out of range)", frame.routing_id, frame, 0)
    raises("bad argument #1 to 'group' (group as a string", frame.group, frame, 5)
    raises("a group has no zeros", frame.group, frame, "a\0b")
    local push = t:socket("PUSH")
    if zmq.has("draft") then
      assert.is_nil(frame:routing_id())
      assert.equal("", frame:group())
      assert.is_true(frame:routing_id(7))
      assert.is_true(frame:group("news"))
      assert.equal(7, frame:routing_id())
      assert.equal("news", frame:group())
    else
      local message = fails("ENOTSUP", frame:routing_id())
      assert.matches("without drafts", message)
      fails("ENOTSUP", frame:routing_id(7))
      fails("ENOTSUP", frame:group())
      fails("ENOTSUP", frame:group("news"))
      message = fails("ENOTSUP", push:send("data", {routing_id = 7}))
      assert.matches("without drafts", message)
      fails("ENOTSUP", push:send_multipart({"a", "b"}, {group = "news"}))
    end
    -- not the same thing
    local pull = t:socket("PULL")
    local message = fails("ENOTSUP", pull:send(frame))
    assert.equal("ENOTSUP: operation not supported", message)
  end))
end)

describe("Options of a send", function()
  after_each(helper.cleanup)

  it("are flags, or a table with flags among them", test(function(t)
    local push = t:socket("PUSH")
    for _, data in ipairs{"text", zmq.Frame("text")} do
      fails("EAGAIN", push:send(data, zmq.DONTWAIT))
      fails("EAGAIN", push:send(data, {flags = zmq.DONTWAIT}))
      fails("EAGAIN", push:send(data, {flags = zmq.DONTWAIT, copy = false, track = true}))
      fails("EAGAIN", push:send_multipart({data, data}, {flags = zmq.DONTWAIT}))
    end
    local a, b = t:pair("PAIR", "PAIR")
    assert(a:send("one", {flags = zmq.SNDMORE}))
    assert(a:send(zmq.Frame("two"), {flags = zmq.SNDMORE}))
    assert(a:send(zmq.Frame("three"), {}))
    assert.same({"one", "two", "three"}, b:recv_multipart())
  end))

  it("are checked before anything is sent", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local frame = zmq.Frame("data")
    raises("bad argument #2 to 'send' (unknown option 'tracks'; did you mean 'track'?)", a.send, a,
      "x", {tracks = true})
    raises("bad argument #2 to 'send' (integer expected, got string)", a.send, a, frame, "none")
    raises("bad argument #2 to 'send' (integer expected, got string)",
      a.send, a, frame, {flags = "none"})
    raises("bad argument #2 to 'send' (out of range)", a.send, a, frame, 4)
    raises("bad argument #2 to 'send_multipart' (integer expected, got boolean)",
      a.send_multipart, a, {frame}, {routing_id = true})
    raises("bad argument #2 to 'send_multipart' (group as a string expected, got boolean)",
      a.send_multipart, a, {frame}, {group = true})
    raises("bad argument #1 to 'send' (string or Frame expected, got number)", a.send, a, 5)
    raises("bad argument #1 to 'send' (string or Frame expected, got userdata)", a.send, a, b)
    fails("EAGAIN", b:recv(zmq.DONTWAIT))
  end))

  it("leave no part of a list that is wrong sent", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    raises("bad argument #1 to 'send_multipart' (frame 3: string or Frame expected, got number)",
      a.send_multipart, a, {zmq.Frame("a"), "b", 5})
    raises("bad argument #1 to 'send_multipart' (frame 2: string or Frame expected, got userdata)",
      a.send_multipart, a, {zmq.Frame("a"), b})
    raises("a message has at least one frame", a.send_multipart, a, {}, {track = true})
    assert(a:send("alone"))
    assert.same({"alone"}, b:recv_multipart())
  end))

  it("do not reach the next message when a send has failed", test(function(t)
    local a, b = t:socket("PAIR"), t:socket("PAIR")
    fails("EAGAIN", a:send_multipart({zmq.Frame("lost"), "lost"}, zmq.DONTWAIT))
    assert(b:connect(t:bind(a)))
    assert(a:send(zmq.Frame("sent")))
    assert.same({"sent"}, b:recv_multipart())
    fails("EAGAIN", b:recv(zmq.DONTWAIT))
  end))
end)

describe("Tracker", function()
  after_each(helper.cleanup)

  it("tells when libzmq is done with what was sent", test(function(t)
    for _, data in ipairs{"short", LONG} do
      for _, sent in ipairs{data, zmq.Frame(data)} do
        local a, b = t:pair("PAIR", "PAIR")
        local tracker = a:send(sent, {track = true})
        assert.is_false(tracker:done())
        assert.matches("^Tracker %(pending%)", tostring(tracker))
        local received = b:recv(0, false)
        assert.equal(data, received:data())
        assert.is_false(tracker:done())
        received:close()
        assert.is_true(tracker:done())
        assert.is_true(tracker:wait())
        assert.is_true(tracker:wait(0))
        assert.matches("^Tracker %(done%)", tostring(tracker))
        assert.equal(data, tostring(sent))
      end
    end
  end))

  it("waits for each frame of a message", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    local tracker = a:send_multipart({"one", zmq.Frame(LONG), "three"}, {track = true})
    local frames = b:recv_multipart(0, false)
    assert.same({"one", LONG, "three"}, data_of(frames))
    for i = 1, 3 do
      assert.is_false(tracker:done())
      frames[i]:close()
    end
    assert.is_true(tracker:done())
  end))

  it("waits for each receiver of a message", test(function(t)
    local pub = t:socket("PUB")
    local address = t:bind(pub)
    local a = t:socket("SUB", {subscribe = "", connect = address})
    local b = t:socket("SUB", {subscribe = "", connect = address})
    local tracker = pub:send(LONG, {track = true})
    local one, two = a:recv(0, false), b:recv(0, false)
    assert.equal(one:pointer(), two:pointer())
    one:close()
    assert.is_false(tracker:done())
    two:close()
    assert.is_true(tracker:done())
  end))

  it("is done at once when nobody wants the message", test(function(t)
    local pub = t:socket("PUB")
    t:bind(pub)
    assert.is_true(pub:send(LONG, {track = true}):done())
  end))

  it("waits no longer than told, and no shorter", test(function(t)
    local a = t:socket("PUSH", {connect = "tcp://127.0.0.1:9", linger = 0}) -- nobody is there
    local tracker = a:send(LONG, {track = true})
    fails("ETIMEDOUT", tracker:wait(0))
    fails("ETIMEDOUT", tracker:wait(-1))
    fails("ETIMEDOUT", tracker:wait(-1e300))
    fails("ETIMEDOUT", tracker:wait(-math.huge))
    local start = t.loop:time()
    fails("ETIMEDOUT", tracker:wait(0.03))
    assert.is_true(t.loop:time() - start >= 0.03)
    raises("bad argument #1 to 'wait' (number of seconds expected, got string)",
      tracker.wait, tracker, "long")
    a:close(0)
    assert.is_true(tracker:wait(10))
  end))

  it("is woken by the thread that lets go", test(function(t)
    local pull, push = t:pair("PULL", "PUSH", "tcp")
    for _, data in ipairs{"short", LONG:rep(1000)} do
      local tracker = push:send(data, {track = true})
      assert.is_true(tracker:wait(10))
      assert.equal(data, pull:recv())
    end
  end))

  it("is known by its type, and is not made by hand", test(function(t)
    local a = t:pair("PUB", "SUB")
    local tracker = a:send("x", {track = true})
    raises("bad self to 'done' (Tracker expected, got no value)", tracker.done)
    raises("bad self to 'wait' (Tracker expected, got table)", tracker.wait, {})
  end))

  it("may be dropped, and outlived by what it tracks", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    for _ = 1, 20 do a:send(LONG, {track = true}) end
    collectgarbage()
    collectgarbage()
    for _ = 1, 10 do assert.equal(LONG, b:recv()) end
  end))

  it("can be interrupted while it waits", test(function(t)
    local child = t:child(helper.program("waits_for_a_tracker"))
    assert.equal("ready", child:line())
    child:wait_asleep()
    child:kill("INT")
    assert.matches("^false%s+.*interrupted!\n$", (child:finish()))
  end))

  it("does not keep the end of a program, nor crash it", test(function(t)
    local output, status = t:run_child(helper.program("end_with_a_tracker"))
    assert.equal("false\n", output)
    assert.equal(0, status)
  end))
end)

describe("The bytes of frames", function()
  after_each(helper.cleanup)

  -- Drops frames of 1 MiB, and prints the most memory it had, in MiB.
  local DROPPING = helper.program("dropping_frames")

  for _, case in ipairs{{"drop", 0}, {"close", 0}, {"list", 0}, {"make", 0}, {"drop", 300000}} do
    it(("do not pile up when frames are dropped (%s, %d objects)"):format(case[1], case[2]),
      test(function(t)
        local output, status = t:run_child(DROPPING, case, 60)
        assert.equal(0, status, output)
        -- of 3,000, and of the sanitizer's own
        local most = os.getenv("LD_PRELOAD") and 1500 or 400
        assert.is_true(tonumber(output) < most, output)
      end))
  end

  it("survive a finalizer that closes the socket while they become Lua's", test(function(t)
    local large = LONG:rep(50)
    for _, copy in ipairs{true, false} do
      for _, method in ipairs{"recv", "recv_multipart"} do
        local a, b = t:pair("PAIR", "PAIR")
        helper.apart(function()
          helper.finalized(function() b:close() end)
        end)
        local rounds = 0
        repeat
          for _ = 1, 20 do a:send_multipart({large, large, large}, zmq.DONTWAIT) end
          for _ = 1, method == "recv" and 60 or 20 do
            local ok, received = pcall(b[method], b, 0, copy)
            if ok and copy and method == "recv" then assert.equal(large, received) end
            if not ok then assert.matches("closed", received) end
          end
          rounds = rounds + 1
        until b:closed() or rounds == 10000
        assert.is_true(b:closed())
      end
    end
  end))

  it("do not start a collector that was stopped", function()
    if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then return end -- it cannot tell
    local weak = setmetatable({}, {__mode = "k"})
    local large = LONG:rep(1000) -- from 5.5 on even that may collect
    collectgarbage()
    collectgarbage("stop")
    weak[{}] = true
    local frames = {}
    for i = 1, 40 do frames[i] = zmq.Frame(large) end
    local kept = next(weak) ~= nil
    collectgarbage("restart")
    assert.is_true(kept)
    assert.equal(40, #frames)
  end)

  it("are neither lost nor leaked when memory runs out", test(function(t)
    if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
    local output, status = t:run_child(helper.program("frames_in_little_memory"))
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))
end)
