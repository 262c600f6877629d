-- Values that libzmq would accept, only to end the process, often later and in a thread of its own.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = zmqloop.zmq
local test, fails = helper.test, helper.fails

describe("what libzmq would abort on", function()
  after_each(helper.cleanup)

  -- In a process of its own, where an abort is seen with the case it was in.
  local function survives(t, case)
    local output, status = t:run_child(helper.program("what_aborts_libzmq"), {case})
    assert.equal(0, status, output)
    assert.matches("survived\n$", output)
  end

  it("addresses of multicast that no socket can be opened for", test(function(t)
    survives(t, "multicast_addresses")
  end))

  it("a port of norm that another has", test(function(t)
    if not zmq.has("norm") then return end
    survives(t, "norm_port_in_use")
  end))

  -- What follows in the frame's second part would make libzmq's thread spin, and the end of the
  -- context wait for it for ever (zeromq/libzmq#3501).
  it("frames that norm does not carry", test(function(t)
    if not zmq.has("norm") then return end
    survives(t, "norm_frames")
  end))

  it("options with which pgm opens no socket", test(function(t)
    survives(t, "pgm_options")
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
    survives(t, "raw_rep")
  end))

  it("a REP that has to tell of peers that are gone", test(function(t)
    fails("EINVAL", t:socket("REP"):set("router_mandatory", 1))
    survives(t, "mandatory_rep")
  end))

  -- It would be an empty message, of which nothing is written to the connection.
  it("a raw ROUTER that probes", test(function(t)
    for _, order in ipairs{{"router_raw", "probe_router"}, {"probe_router", "router_raw"}} do
      local router = t:socket("ROUTER")
      assert.is_true(router:set(order[1], 1))
      fails("EINVAL", router:set(order[2], 1))
    end
    survives(t, "raw_router_probes")
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

  it("messages of several frames received by a socket that conflates", test(function(t)
    survives(t, "conflating_receiver")
  end))

  it("the same on streams: on_error tells, and send is refused", test(function(t)
    survives(t, "conflating_streams")
  end))

  it("half a message by a connection that was made to conflate", test(function(t)
    survives(t, "conflating_connection")
  end))

  it("the same in a proxy", test(function(t)
    survives(t, "conflating_proxy")
  end))

  -- libzmq keeps what it has read of a message, and then misses the rest that went with the
  -- connection. Some types read its first frame when they are asked whether there is one.
  it("the end of a connection of whose message a part was received", test(function(t)
    survives(t, "part_received")
  end))

  it("the end of a connection of whose message libzmq has looked at a part", test(function(t)
    survives(t, "part_looked_at")
  end))

  it("the same on a stream: it receives the message before", test(function(t)
    survives(t, "part_on_a_stream")
  end))
end)
