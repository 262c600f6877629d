local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

describe("options of sockets", function()
  after_each(helper.cleanup)

  it("takes booleans for flags only", test(function(t)
    local socket = t:socket("ROUTER")
    for _, name in ipairs{"immediate", "ipv6", "router_mandatory", "router_handover", "conflate",
        "tcp_keepalive", "probe_router"} do
      assert.is_true(socket:set(name, true), name)
      assert.is_true(socket:set(name, false), name)
    end
    for _, name in ipairs{"linger", "hwm", "sndhwm", "rcvtimeo", "maxmsgsize", "affinity",
        "use_fd"} do
      for _, value in ipairs{true, false} do
        helper.raises(("option '%s': integer expected, got boolean"):format(name), socket.set,
          socket, name, value)
        helper.raises(("option '%s': integer expected, got boolean"):format(name), t.ctx.set,
          t.ctx, name, value)
      end
    end
    assert.is_true(t.ctx:set("blocky", true))
    helper.raises("integer expected, got boolean", t.ctx.set, t.ctx, "io_threads", true)
  end))

  it("does not lower the mark of a ROUTER or REP in the middle of a message", test(function(t)
    local router, dealer = t:socket("ROUTER"), t:socket("DEALER", {routing_id = "peer"})
    local rep, req = t:pair("REP", "REQ")
    dealer:connect(t:bind(router))
    for _ = 1, 5 do assert(router:send_multipart{"peer", "x"}) end
    assert.is_true(router:send("peer", zmq.SNDMORE))
    for _, name in ipairs{"sndhwm", "hwm", zmq.SNDHWM} do
      helper.fails("EFSM", router:set(name, 1))
    end
    assert.is_true(router:set("sndhwm", 2000))
    assert.is_true(router:set("rcvhwm", 1))
    assert.is_true(router:set("sndhwm", 0)) -- none
    helper.fails("EFSM", router:set("sndhwm", 2000))
    assert.is_true(router:send("body"))
    assert.is_true(router:set("sndhwm", 1))
    for _ = 1, 6 do assert.equal(1, #dealer:recv_multipart(zmq.DONTWAIT)) end

    req:send("question")
    assert.equal("question", rep:recv())
    helper.fails("EFSM", rep:set("sndhwm", 1))
    assert.is_true(rep:send("answer"))
    assert.is_true(rep:set("sndhwm", 1))
    assert.equal("answer", req:recv())
  end))

  it("have names and numbers, set and get and aliases", test(function(t)
    local socket = t:socket("DEALER")
    assert.is_true(socket:set("linger", 5))
    assert.equal(5, socket:get("linger"))
    assert.equal(5, socket:get(zmq.LINGER))
    socket:setsockopt(zmq.LINGER, -1)
    assert.equal(-1, socket:getsockopt("linger"))
    socket:set("linger", 0)
  end))

  it("that are bytes keep NUL, and text loses the one at its end", test(function(t)
    local socket = t:socket("DEALER")
    socket:set("routing_id", "a\0b")
    assert.equal("a\0b", socket:get("routing_id"))
    assert.is_true(socket:bind("tcp://127.0.0.1:*"))
    local endpoint = socket:get("last_endpoint")
    assert.matches("^tcp://127%.0%.0%.1:%d+$", endpoint)
  end))

  it("of 64 bits are exact", test(function(t)
    local socket = t:socket("PULL")
    socket:set("maxmsgsize", 1099511627777)
    assert.equal(1099511627777, socket:get("maxmsgsize"))
    socket:set("maxmsgsize", -1)
    assert.equal(-1, socket:get("maxmsgsize"))
  end))

  it("that are flags take booleans", test(function(t)
    local socket = t:socket("ROUTER")
    assert.is_true(socket:set("router_mandatory", true))
    assert.is_true(socket:set("immediate", true))
    assert.equal(1, socket:get("immediate"))
    assert.equal(0, socket:get("rcvmore"))
  end))

  it("unknown raise and name the nearest", test(function(t)
    local socket = t:socket("PULL")
    raises("linger", socket.set, socket, "lingre", 0)
    raises("rcvhwm", socket.get, socket, "rcvhmw")
  end))

  it("of a wrong type raise; what libzmq refuses is EINVAL", test(function(t)
    local socket = t:socket("PUB")
    assert.has_error(function() socket:set("linger", "x") end)
    assert.has_error(function() socket:set("linger", {}) end)
    assert.has_error(function() socket:set("linger") end)
    assert.has_error(function() socket:set("routing_id", {}) end)
    assert.has_error(function() socket:set("linger", 1.5) end)
    assert.has_error(function() socket:set("linger", 2 ^ 40) end)
    fails("EINVAL", socket:set("subscribe", "a"))
    fails("EINVAL", socket:set("sndhwm", -2))
  end))

  it("that can only be read, or only written, say so", test(function(t)
    local socket = t:socket("SUB")
    local ok, result = pcall(socket.set, socket, "type", 1)
    assert.is_true(not ok or result == nil)
    ok, result = pcall(socket.get, socket, "subscribe")
    assert.is_true(not ok or result == nil)
  end))

  it("round trip in all types of values", test(function(t)
    local socket = t:socket("DEALER")
    local values = {
      linger = {-1, 0, 7}, rcvtimeo = {-1, 0, 250}, sndtimeo = {-1, 3}, backlog = {1, 100},
      sndhwm = {0, 11}, rcvhwm = {0, 12}, affinity = {0, 1, 255}, maxmsgsize = {-1, 0, 2 ^ 40},
      routing_id = {"a", "\1\0b", ("x"):rep(255)}, tos = {0, 16}, ipv6 = {0, 1},
      reconnect_ivl = {-1, 10}, reconnect_ivl_max = {0, 20}, tcp_keepalive = {-1, 0, 1},
      plain_username = {"user"}, plain_password = {"secret"}, zap_domain = {"global"},
      heartbeat_ivl = {0, 1000}, handshake_ivl = {0, 30000}, immediate = {0, 1},
      sndbuf = {-1, 65536}, rcvbuf = {-1, 65536}, rate = {100}, multicast_hops = {2},
      invert_matching = {0, 1}, socks_proxy = {"127.0.0.1:1080"}, connect_timeout = {0, 10},
    }
    for name, list in pairs(values) do
      for _, value in ipairs(list) do
        if type(value) == "number" then value = math.floor(value) end
        assert.is_true(socket:set(name, value), name)
        assert.equal(value, socket:get(name), name)
        assert.equal(value, socket:get(zmq[name:upper()]), name)
      end
    end
  end))

  it("have libzmq's defaults, but for linger", test(function(t)
    local socket = t.ctx:socket("PUSH")
    assert.equal(1000, socket:get("sndhwm"))
    assert.equal(1000, socket:get("rcvhwm"))
    assert.equal(-1, socket:get("maxmsgsize"))
    assert.equal(zmq.NULL, socket:get("mechanism"))
    assert.equal("", socket:get("last_endpoint"))
    socket:close(0)
  end))

  it("hwm is both high-water marks", test(function(t)
    for _, kind in ipairs{"PUB", "ROUTER", "SUB", "REQ", "DEALER"} do
      local socket = t:socket(kind, {hwm = 3})
      assert.equal(3, socket:get("sndhwm"))
      assert.equal(3, socket:get("rcvhwm"))
      assert.is_true(socket:set("hwm", 100))
      assert.equal(100, socket:get("hwm"))
      assert.equal(100, socket:get("rcvhwm"))
      assert.is_true(socket:set(zmq.HWM, 5))
      assert.equal(5, socket:get("sndhwm"))
    end
    -- a closer one wins, in whatever order they are written
    local socket = t:socket("PULL", {rcvhwm = 7, hwm = 3})
    assert.equal(7, socket:get("rcvhwm"))
    assert.equal(3, socket:get("sndhwm"))
  end))

  it("of 64 bits are exact up to 2^53 in every Lua, and beyond raise or are exact", test(function(t)
    local socket = t:socket("PULL")
    for _, value in ipairs{2 ^ 53, 2 ^ 53 - 1, -2 ^ 53} do
      assert.is_true(socket:set("maxmsgsize", value))
      assert.equal(value, socket:get("maxmsgsize"))
    end
    if math.type then -- luacheck: std max
      local largest = math.maxinteger -- luacheck: std max
      for _, value in ipairs{2 ^ 53 + 1, largest, largest - 1} do
        assert.is_true(socket:set("maxmsgsize", value))
        assert.equal(value, socket:get("maxmsgsize"))
      end
      assert.is_true(socket:set("affinity", -1))
      assert.equal(-1, socket:get("affinity")) -- 2^64 - 1
    else
      raises("2^53", socket.set, socket, "maxmsgsize", 2 ^ 53 + 2)
      raises("2^53", socket.set, socket, "maxmsgsize", -2 ^ 60)
      raises("out of range", socket.set, socket, "affinity", -1)
    end
    for _, value in ipairs{2 ^ 64, -2 ^ 70, 1e300, math.huge, -math.huge, 0 / 0, 0.5} do
      raises("option 'maxmsgsize'", socket.set, socket, "maxmsgsize", value)
      raises("option 'affinity'", socket.set, socket, "affinity", value)
      raises("option 'linger'", socket.set, socket, "linger", value)
    end
  end))

  it("text has no NUL at its end, however long", test(function(t)
    for _, length in ipairs{100, 505, 512, 800, 5000, 100000} do
      local address = "inproc://" .. ("x"):rep(length)
      local socket = t:socket("PULL", {bind = address})
      assert.equal(address, socket:get("last_endpoint"))
      assert.equal(address, socket:get(zmq.LAST_ENDPOINT))
    end
  end))

  it("that can only be read or set say so", test(function(t)
    local socket = t:socket("SUB")
    for _, name in ipairs{"events", "fd", "type", "rcvmore", "last_endpoint", "mechanism"} do
      local value = name == "last_endpoint" and "x" or 1
      local message = fails("EINVAL", socket:set(name, value))
      assert.matches(name .. ", which can only be read", message, 1, true)
    end
    for _, name in ipairs{"subscribe", "unsubscribe", "connect_routing_id"} do
      local message = fails("EINVAL", socket:get(name))
      assert.matches(name .. ", which can only be set", message, 1, true)
    end
  end))

  it("by a number that nobody knows is EINVAL", test(function(t)
    local socket = t:socket("SUB")
    fails("EINVAL", socket:set(9999, 1))
    fails("EINVAL", socket:set(9999, "x"))
    fails("EINVAL", socket:get(9999))
    raises("bad argument #1 to 'set'", socket.set, socket, -1, 1)
    raises("bad argument #1 to 'set'", socket.set, socket, 1.5, 1)
    raises("bad argument #1 to 'set'", socket.set, socket, {}, 1)
    raises("bad argument #1 to 'get'", socket.get, socket)
    fails("EINVAL", t:socket("PUB"):set("subscribe", "a"))
  end))

  it("of bytes want strings and nothing else", test(function(t)
    local socket = t:socket("SUB")
    for _, bad in ipairs{5, true, {}, print} do
      raises("option 'subscribe': string expected", socket.set, socket, "subscribe", bad)
      raises("option 'routing_id': string expected", socket.set, socket, "routing_id", bad)
    end
    raises("option 'routing_id': string expected", socket.set, socket, "routing_id")
  end))

  it("text may be unset with nil", test(function(t)
    local socket = t:socket("DEALER", {socks_proxy = "127.0.0.1:1080"})
    assert.is_true(socket:set("socks_proxy", nil))
    assert.equal("", socket:get("socks_proxy"))
  end))

  it("of keys are 32 bytes or 40 characters of Z85", test(function(t)
    local socket = t:socket("DEALER")
    local key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
    assert.is_true(socket:set("curve_serverkey", key))
    assert.equal(key, socket:get("curve_serverkey"))
    assert.is_true(socket:set("curve_secretkey", ("\0"):rep(32)))
    assert.equal(("0"):rep(40), socket:get("curve_secretkey"))
    for _, bad in ipairs{"", "x", key .. "0", key:sub(1, 39), key:sub(1, 5) .. ("\0"):rep(35),
        (" "):rep(40), ("x"):rep(33)} do
      fails("EINVAL", socket:set("curve_publickey", bad))
    end
  end))

  it("use_fd takes a descriptor that listens, on others libzmq would abort", test(function(t)
    local socket = t:socket("PULL")
    for _, bad in ipairs{0, 1, 300, 100000, 2147483647, -2} do
      fails("EINVAL", socket:set("use_fd", bad))
    end
    assert.is_true(socket:set("use_fd", -1))
    assert.is_true(socket:bind("tcp://127.0.0.1:*"))
  end))

  it("have names that differ by little: the nearest is named", test(function(t)
    local socket = t:socket("PULL")
    for wrong, right in pairs{lingre = "linger", rcvhmw = "rcvhwm", LINGER = "", subscribes =
        "subscribe", last_endpont = "last_endpoint", router_mandatary = "router_mandatory"} do
      raises(("unknown option '%s'; did you mean '%s"):format(wrong, right), socket.get, socket,
        wrong)
    end
    raises("did you mean", socket.get, socket, "")
    raises("did you mean", socket.get, socket, ("x"):rep(1000))
  end))

  it("each has a constant, and either can be read or only be set", test(function(t)
    local sockets = {}
    for _, kind in ipairs{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH",
        "XPUB", "XSUB", "STREAM"} do
      sockets[kind] = t:socket(kind)
    end
    for _, name in ipairs(require("zmqloop.core").socket_options) do
      assert.is_number(zmq[name:upper()], name)
      for _, socket in pairs(sockets) do
        local value, message, code = socket:get(name)
        assert.is_true(value ~= nil or code == "EINVAL", message)
      end
    end
  end))

  it("of a table are set before subscriptions, these before bind and connect", test(function(t)
    local address = t:address("inproc")
    raises("unknown option 'unsubscribe'", t.ctx.socket, t.ctx, "SUB", {unsubscribe = "a"})
    raises("bad argument #2 to 'socket'", t.ctx.socket, t.ctx, "SUB", "linger")
    raises("option 'linger'", t.ctx.socket, t.ctx, "SUB", {linger = "x"})
    fails("EINVAL", t.ctx:socket("PUB", {fd = 3}))
    fails("EINVAL", t.ctx:socket("PUB", {subscribe = "a"}))
    local pull = t:socket("PULL", {bind = {address, t:address("inproc")}, rcvhwm = 1})
    local push = t:socket("PUSH", {connect = address, sndhwm = 1})
    assert.is_true(push:send("1", zmq.DONTWAIT))
    assert.is_true(push:send("2", zmq.DONTWAIT))
    fails("EAGAIN", push:send("3", zmq.DONTWAIT)) -- the marks were there before the pipe
    assert.equal("1", pull:recv())
  end))
end)
