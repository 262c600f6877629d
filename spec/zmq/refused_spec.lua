-- Values that libzmq would accept, only to end the process, often later and in a thread of its own.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = zmqloop.zmq
local test, fails = helper.test, helper.fails

describe("what libzmq would abort on", function()
  after_each(helper.cleanup)

  -- In a process of its own, where an abort is seen with the case it was in.
  local function survives(t, source)
    local output, status = t:run_child([[
      local zmq = zmqloop.zmq
      local ctx = zmq.Context{linger = 0}
      local function pause() zmq.Poller():poll(10) end
    ]] .. source .. [[
      assert(ctx:destroy(0))
      print("survived")
    ]])
    assert.equal(0, status, output)
    assert.matches("survived\n$", output)
  end

  it("addresses of multicast that no socket can be opened for", test(function(t)
    survives(t, [[
      for _, address in ipairs{"norm://x", "norm://:", "norm://;:5", "norm://1,:5", "norm://:5999",
          "norm://[::1]:5999", "norm://nowhere99;224.1.2.3:5999", "norm://lo;lo;224.1.2.3:5999",
          "norm://1,2,127.0.0.1:5999", "norm://127.0.0.1:0", "norm://127.0.0.1:70000",
          "norm://127.0.0.1:5x", "norm://" .. ("x"):rep(300) .. ":5999", "pgm://x", "epgm://x",
          "epgm://nowhere99;239.192.1.1:5555", "epgm://" .. ("x"):rep(100) .. ":5",
          "pgm://" .. ("x"):rep(64) .. ";239.192.1.1:5555", "epgm://[]:-1", "epgm://lo;127.0.0.1:5",
          "epgm://lo;239.192.1.1:*"} do
        for _, kind in ipairs{"PUB", "SUB"} do
          for _, act in ipairs{"bind", "connect"} do
            print(act, kind, address)
            local socket = ctx:socket(kind)
            local ok, message = socket[act](socket, address)
            assert(ok == nil and message:find(address:sub(1, 100), 1, true), message)
            socket:close()
          end
        end
      end
      pause()
    ]])
  end))

  it("a port of norm that another has", test(function(t)
    if not zmq.has("norm") then return end
    survives(t, [[
      local first, second = ctx:socket("PUB"), ctx:socket("PUB")
      assert(first:connect("norm://127.0.0.1:51877"))
      local name
      for _ = 1, 1000 do -- until libzmq's thread has bound it
        pause()
        local probe = io.open("/proc/net/udp"):read("*a")
        if probe:find(":CAA5", 1, true) then break end
      end
      _, _, name = second:connect("norm://127.0.0.1:51877")
      assert(name == "EADDRINUSE", name)
      pause()
    ]])
  end))

  -- What follows in the frame's second part would make libzmq's thread spin, and the end of the
  -- context wait for it for ever (zeromq/libzmq#3501).
  it("frames that norm does not carry", test(function(t)
    if not zmq.has("norm") then return end
    survives(t, [[
      local loop = new_loop()
      local most, pub = ("x"):rep(2038), ctx:socket("PUB")
      local long = most .. "x"
      assert(pub:send(long))
      assert(pub:connect("norm://127.0.0.1:51878"))
      local stream = zmqloop.ZMQStream(ctx:socket("XPUB"), loop)
      assert(stream:connect("norm://127.0.0.1:51879"))
      for _, it in ipairs{pub, stream} do
        for _, message in ipairs{{long}, {"a", long}, {zmq.Frame(long)}} do
          local ok, text, name = it:send_multipart(message)
          assert(name == "EMSGSIZE", tostring(ok) .. tostring(text))
        end
        local _, _, name = it:send(long)
        assert(name == "EMSGSIZE")
        assert(it:send(most) and it:send_multipart{most, most})
      end
      pause()
      stream:close()
      loop:close()
    ]])
  end))

  it("options with which pgm opens no socket", test(function(t)
    survives(t, [[
      for option, value in pairs{multicast_hops = 256, multicast_maxtpdu = 35, rate = 11} do
        print(option)
        local socket = ctx:socket("PUB", {[option] = value})
        local _, _, name = socket:connect("epgm://;239.192.1.1:5555")
        assert(name == (zmq.has("pgm") and "EINVAL" or "EPROTONOSUPPORT"), name)
      end
      pause()
    ]])
  end))

  it("GSSAPI over WebSockets", test(function(t)
    if not zmq.has("gssapi") then return end
    local socket = t:socket("DEALER", {gssapi_principal = "x"})
    fails("ENOCOMPATPROTO", socket:connect("ws://127.0.0.1:1"))
    fails("ENOCOMPATPROTO", socket:bind("ws://127.0.0.1:*"))
  end))

  it("a STREAM over inproc", test(function(t)
    local message = fails("ENOCOMPATPROTO", t:socket("STREAM"):bind("inproc://x"))
    assert.matches("inproc://x", message, 1, true)
    fails("ENOCOMPATPROTO", t:socket("STREAM"):connect("inproc://x"))
  end))

  -- A raw socket takes an empty frame for the end of its connection, also while it receives.
  it("a raw REP", test(function(t)
    fails("EINVAL", t:socket("REP"):set("router_raw", 1))
    fails("EINVAL", t:socket("REP"):set(zmq.ROUTER_RAW, 1))
    survives(t, [[
      local raw = zmq.Context{router_raw = 1}
      local rep = raw:socket("REP", {bind = "tcp://127.0.0.1:*"})
      local req = ctx:socket("REQ", {connect = rep:get("last_endpoint")})
      req:send("request")
      assert(rep:recv() == "request")
      raw:destroy(0)
    ]])
  end))

  it("a REP that has to tell of peers that are gone", test(function(t)
    fails("EINVAL", t:socket("REP"):set("router_mandatory", 1))
    survives(t, [[
      local rep = ctx:socket("REP", {bind = "tcp://127.0.0.1:*"})
      rep:set("router_mandatory", 1)
      local req = ctx:socket("REQ", {connect = rep:get("last_endpoint")})
      req:send("request")
      assert(rep:poll(1000) == zmq.POLLIN)
      req:close()
      for _ = 1, 20 do
        pause()
        rep:poll(0)
      end
      local message, _, name = rep:recv(zmq.DONTWAIT)
      assert(message == "request" or name == "EAGAIN", name)
    ]])
  end))

  -- It would be an empty message, of which nothing is written to the connection.
  it("a raw ROUTER that probes", test(function(t)
    for _, order in ipairs{{"router_raw", "probe_router"}, {"probe_router", "router_raw"}} do
      local router = t:socket("ROUTER")
      assert.is_true(router:set(order[1], 1))
      fails("EINVAL", router:set(order[2], 1))
    end
    survives(t, [[
      local raw = zmq.Context{router_raw = 1, probe_router = 1}
      local listener = ctx:socket("STREAM", {bind = "tcp://127.0.0.1:*"})
      local router = raw:socket("ROUTER", {connect = listener:get("last_endpoint")})
      assert(#listener:recv_multipart() == 2)
      pause()
      raw:destroy(0)
    ]])
  end))

  it("messages of several frames on a raw ROUTER", test(function(t)
    local router = t:socket("ROUTER", {router_raw = 1})
    fails("ENOCOMPATPROTO", router:bind("inproc://x"))
    fails("ENOCOMPATPROTO", router:connect("inproc://x"))
    router = t:socket("ROUTER", {bind = "tcp://127.0.0.1:*"})
    fails("EINVAL", router:set("router_raw", 1))
    router = t:socket("ROUTER", {connect = "inproc://x"})
    fails("EINVAL", router:set("router_raw", 1))
    assert.is_true(router:set("router_raw", 0))
  end))

  -- Which libzmq makes where it was built without drafts too. A DGRAM aborts when it has no peer.
  it("sockets of types that are not in its table", test(function(t)
    local known = {}
    for _, number in pairs(require("zmqloop.core").socket_types) do known[number] = true end
    for number = 0, 30 do
      if not known[number] then
        local message = fails("EINVAL", t.ctx:socket(number))
        assert.matches(tostring(number), message)
      end
    end
  end))

  it("messages of several frames sent by a socket that conflates", test(function(t)
    for _, kind in ipairs{"PUSH", "PUB", "DEALER"} do
      local socket = t:socket(kind, {conflate = 1})
      fails("ENOTSUP", socket:send("a", zmq.SNDMORE))
      fails("ENOTSUP", socket:send_multipart{"a", "b"})
      fails("ENOTSUP", socket:send_multipart{zmq.Frame("a"), "b"})
    end
    -- where the option means nothing
    local router, dealer = t:pair("ROUTER", "DEALER")
    router:set("conflate", 1)
    dealer:send("x")
    local frames = router:recv_multipart()
    assert.is_true(router:send_multipart(frames))
    assert.equal("x", dealer:recv())
  end))

  -- The pipe keeps the last frame written, here the first of a message.
  local HALF_A_MESSAGE = [[
    local push = ctx:socket("PUSH", {bind = "inproc://half"})
    local pull = ctx:socket("PULL", {conflate = 1, connect = "inproc://half"})
    local function send_half()
      assert(push:send("whole"))
      assert(push:send("half", zmq.SNDMORE))
    end
  ]]

  it("messages of several frames received by a socket that conflates", test(function(t)
    survives(t, HALF_A_MESSAGE .. [[
      assert(push:send("whole"))
      assert(pull:recv() == "whole")
      send_half()
      for _, method in ipairs{"recv_multipart", "recv", "recv"} do
        local _, _, name = pull[method](pull, zmq.DONTWAIT)
        assert(name == "EPROTO", name)
      end
    ]])
  end))

  it("the same on streams: on_error tells, and send is refused", test(function(t)
    survives(t, HALF_A_MESSAGE .. [[
      local loop = new_loop()
      local receiver, failed = zmqloop.ZMQStream(pull, loop)
      receiver:on_error(function(...)
        failed = table.concat({...}, " ", 2)
        loop:stop()
      end)
      receiver:on_recv(function() error("half a message was delivered") end)
      send_half()
      loop:start()
      assert(failed:find("EPROTO"), failed)
      local sender = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
      sender:set("conflate", 1)
      sender:connect("inproc://half")
      local _, _, name = sender:send_multipart{"a", "b"}
      assert(name == "ENOTSUP", name)
      assert(sender:send("a"))
      loop:close()
    ]])
  end))

  it("half a message by a connection that was made to conflate", test(function(t)
    survives(t, [[
      local loop = new_loop()
      local rep = zmqloop.ZMQStream(ctx:socket("REP"), loop)
      local dealer = ctx:socket("DEALER", {conflate = 1})
      assert(rep:bind("inproc://rep") and dealer:connect("inproc://rep"))
      local _, _, name = dealer:set("conflate", 0)
      assert(name == "EINVAL" and dealer:get("conflate") == 1)
      rep:on_recv(function() end)
      for _ = 1, 3 do
        dealer:send("whole", zmq.DONTWAIT)
        dealer:send("", zmq.SNDMORE + zmq.DONTWAIT)
        for _ = 1, 3 do loop:step(0.01) end
        dealer:send("rest", zmq.DONTWAIT)
      end
      loop:close()
    ]])
  end))

  it("the same in a proxy", test(function(t)
    survives(t, HALF_A_MESSAGE .. [[
      local out = ctx:socket("PUSH", {bind = "inproc://out"})
      local sink = ctx:socket("PULL", {connect = "inproc://out"})
      send_half()
      local _, _, name = zmq.proxy(pull, out)
      assert(name == "EPROTO", name)
      sink:close()
    ]])
  end))

  -- libzmq keeps what it has read of a message, and then misses the rest that went with the
  -- connection. Some types read its first frame when they are asked whether there is one.
  local LOOK_AHEAD = [[
    local kinds = {{"DEALER", "ROUTER"}, {"REQ", "REP"}, {"PUB", "SUB"}, {"XPUB", "XSUB"}}
    local function pair(from, to, name)
      local sender = ctx:socket(from, {bind = name})
      local receiver = ctx:socket(to, {connect = name})
      if to == "SUB" then receiver:subscribe("") end
      if to == "XSUB" then
        receiver:send("\1")
        sender:recv()
      end
      return sender, receiver
    end
  ]]

  it("the end of a connection of whose message a part was received", test(function(t)
    survives(t, LOOK_AHEAD .. [[
      local push, pull = pair("PUSH", "PULL", "inproc://x")
      local other = ctx:socket("PUSH", {bind = "inproc://other"})
      pull:connect("inproc://other")
      push:send_multipart{"a", "b"}
      assert(pull:recv() == "a")
      local _, message, name = pull:disconnect("inproc://x")
      assert(name == "EFSM" and message:find("inproc://x", 1, true), message)
      assert(pull:recv() == "b")
      assert(pull:disconnect("inproc://x"))
      _, _, name = pull:recv(zmq.DONTWAIT)
      assert(name == "EAGAIN", name)
    ]])
  end))

  it("the end of a connection of whose message libzmq has looked at a part", test(function(t)
    survives(t, LOOK_AHEAD .. [[
      local looks = {
        function(it) assert(it:poll(1000) == zmq.POLLIN) end,
        function(it) assert(it:get("events") % 2 == 1) end,
        function(it)
          local poller = zmq.Poller()
          poller:register(it, zmq.POLLIN)
          assert(#poller:poll(1000) == 1)
        end,
        function(it)
          local loop = new_loop()
          loop:add_handler(it, function() loop:stop() end, loop.READ)
          loop:start()
          loop:close()
        end,
      }
      for i, kind in ipairs(kinds) do
        for j, look in ipairs(looks) do
          print(kind[2], j)
          local name = ("inproc://%d.%d"):format(i, j)
          local sender, receiver = pair(kind[1], kind[2], name)
          local other = ctx:socket(kind[1], {bind = name .. "other"})
          receiver:connect(name .. "other")
          sender:send_multipart{"a", "b"}
          look(receiver)
          local _, _, failure = receiver:disconnect(name)
          assert(failure == "EFSM", failure)
          local frames = receiver:recv_multipart()
          assert(frames[#frames] == "b")
          assert(receiver:disconnect(name))
          _, _, failure = receiver:recv(zmq.DONTWAIT)
          assert(failure == (kind[2] == "REP" and "EFSM" or "EAGAIN"), failure)
        end
      end
    ]])
  end))

  it("the same on a stream: it receives the message before", test(function(t)
    survives(t, LOOK_AHEAD .. [[
      local loop = new_loop()
      for i, kind in ipairs(kinds) do
        for _, looked in ipairs{true, false} do
          print(kind[2], looked)
          local name = ("inproc://%d%s"):format(i, tostring(looked))
          local sender, receiver = pair(kind[1], kind[2], name)
          local other = ctx:socket(kind[1], {bind = name .. "other"})
          receiver:connect(name .. "other")
          sender:send_multipart{"a", "b"}
          if looked then assert(receiver:poll(1000) == zmq.POLLIN) end
          local stream = zmqloop.ZMQStream(receiver, loop)
          assert(stream:disconnect(name))
          stream:on_recv(function(frames)
            assert(frames[#frames] == "b")
            loop:stop()
          end)
          loop:start()
          loop:step(0)
          stream:close()
        end
      end
      loop:close()
    ]])
  end))
end)
