-- The statements of SECURITY.md that a test can hold.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local async, test, raises, fails = helper.async, helper.test, helper.raises, helper.fails

local zmq = zmqloop.zmq

-- A context that ends with the test, after its sockets.
local function context(t, options, module)
  local made = assert((module or zmq).Context(options))
  return t:keep(setmetatable({close = function() made:destroy(0) end}, {__index = function(_, name)
    return function(_, ...) return made[name](made, ...) end
  end}))
end

-- A stream in a context of its own, so that no ZAP handler is found by chance.
local function stream(t, ctx, kind, options)
  return t:keep(assert(zmqloop.ZMQStream(assert(ctx:socket(kind, options)), t.loop)))
end

-- Tells by the names of events in `seen` what happens to a stream's connections.
local function watch(t, watched)
  local seen = {}
  assert(watched.socket:monitor(function(event) seen[event.name] = event end, "all", t.loop))
  return seen
end

describe("Context{limits = \"internet\"}", function()
  after_each(helper.cleanup)

  -- SECURITY.md has the same values in words.
  local expected = {
    maxmsgsize = 1048576, rcvhwm = 100, sndhwm = 100, handshake_ivl = 5000, backlog = 1024,
    tcp_keepalive = 1, tcp_keepalive_idle = 60, tcp_keepalive_intvl = 10, tcp_keepalive_cnt = 6,
  }

  for name, module in pairs({zmq = zmq, green = green}) do
    it("limits the sockets of a context of " .. name, test(function(t)
      local ctx = context(t, {limits = "internet"}, module)
      for _, kind in ipairs{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH",
          "XPUB", "XSUB", "STREAM"} do
        local socket = assert(ctx:socket(kind))
        for option, value in pairs(expected) do
          assert.equal(value, socket:get(option), kind .. " " .. option)
        end
        socket:close()
      end
    end))
  end

  it("gives way to the options of the context and of the socket", test(function(t)
    local ctx = context(t, {limits = "internet", maxmsgsize = 10, rcvhwm = 0})
    local socket = ctx:socket("PULL", {backlog = 7})
    assert.equal(10, socket:get("maxmsgsize"))
    assert.equal(0, socket:get("rcvhwm"))
    assert.equal(7, socket:get("backlog"))
    assert.equal(100, socket:get("sndhwm"))
    socket:set("maxmsgsize", -1)
    assert.equal(-1, socket:get("maxmsgsize"))
  end))

  it("limits nothing in other contexts", test(function(t)
    context(t, {limits = "internet"})
    local socket = context(t):socket("PULL")
    assert.equal(-1, socket:get("maxmsgsize"))
    assert.equal(1000, socket:get("rcvhwm"))
  end))

  it("limits the queue of a stream, which set_send_hwm() replaces", test(function(t)
    local ctx = context(t, {limits = "internet"})
    local push = stream(t, ctx, "PUSH", {immediate = true, connect = "tcp://127.0.0.1:1"})
    for _ = 1, 1000 do assert.is_true(push:send("x")) end
    fails("EAGAIN", push:send("x"))
    push:set_send_hwm(0, 0)
    assert.is_true(push:send("x"))
    local other = stream(t, ctx, "PUSH", {immediate = true, connect = "tcp://127.0.0.1:1"})
    local large = ("x"):rep(1048576)
    for _ = 1, 16 do assert.is_true(other:send(large)) end
    fails("EAGAIN", other:send("x"))
  end))

  it("is spelt like that", function()
    raises("bad argument #1 to 'Context' (unknown limits 'intranet'; did you mean 'internet'?)",
      zmq.Context, {limits = "intranet"})
    raises("unknown limits 'x'; did you mean 'internet'?", green.Context, {limits = "x"})
    raises("option 'limits': string expected, got boolean", zmq.Context, {limits = true})
    raises("unknown option 'limit'; did you mean 'limits'?", zmq.Context, {limit = "internet"})
  end)
end)

describe("an untrusted peer", function()
  after_each(helper.cleanup)

  it("with a frame above maxmsgsize is disconnected, and others are served", async(function(t)
    local server = stream(t, context(t, {limits = "internet"}), "PULL")
    local got, seen = {}, watch(t, server)
    server:on_recv(function(frames) got[#got + 1] = frames[1] end)
    local port = assert(server:bind_to_random_port("tcp://127.0.0.1"))
    local address = "tcp://127.0.0.1:" .. port
    local bad = stream(t, context(t), "PUSH", {connect = address, reconnect_ivl = -1})
    assert.is_true(bad:send(("x"):rep(1048577)))
    t:wait_until(function() return seen.DISCONNECTED end)
    local good = stream(t, context(t), "PUSH", {connect = address})
    assert.is_true(good:send(("y"):rep(1048576)))
    t:wait_until(function() return got[1] end)
    assert.equal(("y"):rep(1048576), got[1])
  end))

  it("that says nothing is disconnected after handshake_ivl", async(function(t)
    local ctx = context(t, {limits = "internet", handshake_ivl = 50})
    local server = stream(t, ctx, "ROUTER")
    local port = assert(server:bind_to_random_port("tcp://127.0.0.1"))
    local silent = stream(t, context(t), "STREAM")
    local seen = watch(t, silent)
    assert(silent:connect("tcp://127.0.0.1:" .. port))
    t:wait_until(function() return seen.CONNECTED and seen.DISCONNECTED end)
  end))

  it("may send more frames than any limit in one message", async(function(t)
    local server = stream(t, context(t), "PULL", {rcvhwm = 2, maxmsgsize = 1000})
    local got
    server:on_recv(function(frames) got = frames end)
    local port = assert(server:bind_to_random_port("tcp://127.0.0.1"))
    local client = stream(t, context(t), "PUSH", {connect = "tcp://127.0.0.1:" .. port})
    local frames = {}
    for i = 1, 2000 do frames[i] = "x" end
    assert.is_true(client:send_multipart(frames))
    t:wait_until(function() return got end)
    assert.equal(2000, #got)
  end))

  it("that causes an error in a callback is served on, and its characters are escaped",
    test(function(t)
      local output, status = t:run_child([[
        local zmqloop = require("zmqloop")
        local ctx, loop = zmqloop.zmq.Context.instance(), zmqloop.IOLoop.instance()
        local server = zmqloop.ZMQStream(ctx:socket("PULL", {bind = "inproc://x"}))
        local client = zmqloop.ZMQStream(ctx:socket("PUSH", {connect = "inproc://x"}))
        server:on_recv(function(frames)
          if frames[1] == "stop" then loop:stop() else error(frames[1]) end
        end)
        client:send("\27[2J")
        client:send("stop")
        loop:start()]])
      assert.equal(0, status, output)
      assert.truthy(output:find("[2J", 1, true), output)
      assert.is_nil(output:find("\27", 1, true))
    end))

  it("takes over a routing id, if router_handover is set", async(function(t)
    local router = stream(t, context(t), "ROUTER", {router_handover = true})
    local got = {}
    router:on_recv(function(frames) router:send_multipart(frames) end)
    local port = assert(router:bind_to_random_port("tcp://127.0.0.1"))
    for i = 1, 2 do
      local dealer = stream(t, context(t), "DEALER", {
        routing_id = "same", reconnect_ivl = -1, connect = "tcp://127.0.0.1:" .. port})
      dealer:on_recv(function(frames) got[i] = frames[1] end)
      dealer:send("hello")
      t:wait_until(function() return got[i] end)
    end
    got = {}
    router:send_multipart{"same", "reply"}
    t:wait_until(function() return got[2] end)
    assert.same({[2] = "reply"}, got)
  end))
end)

describe("configuration", function()
  after_each(helper.cleanup)

  it("with unknown names raises", test(function(t)
    local ctx = context(t)
    raises("unknown option 'maxmsgsiz'; did you mean 'maxmsgsize'?", ctx.socket, ctx, "PULL",
      {maxmsgsiz = 1})
    raises("integer expected", ctx.socket, ctx, "PULL", {maxmsgsize = "1 MiB"})
  end))

  it("with an ipc address replaces the file at that path", test(function(t)
    local path = t:tmpname()
    local file = assert(io.open(path, "w"))
    file:write("precious")
    file:close()
    assert(t:socket("PULL"):bind("ipc://" .. path))
    local content = io.open(path)
    assert.is_nil(content) -- a socket cannot be opened
  end))
end)

describe("a connection", function()
  after_each(helper.cleanup)

  it("that met a peer of the wrong type comes back by disconnect and connect", async(function(t)
    local push = stream(t, context(t), "PUSH", {reconnect_ivl = 10})
    local seen = watch(t, push)
    local wrong = t:socket("PUB")
    local address = "tcp://127.0.0.1:" .. assert(wrong:bind_to_random_port("tcp://127.0.0.1"))
    push:connect(address)
    t:wait_until(function() return seen.HANDSHAKE_FAILED_PROTOCOL or seen.DISCONNECTED end)
    wrong:close()
    local right = stream(t, context(t), "PULL")
    local got
    right:on_recv(function(frames) got = frames[1] end)
    t:wait_until(function() return right:bind(address) end)
    assert(push:disconnect(address))
    assert(push:connect(address))
    assert(push:send("x"))
    t:wait_until(function() return got end)
  end))

  it("appends to a list what a queue gives, in two steps", async(function(t)
    local queue = require("zmqloop.queues").Queue()
    local list = {}
    for _ = 1, 2 do
      t.loop:spawn(function()
        local item = queue:get()
        list[#list + 1] = item
      end)
    end
    t.loop:add_callback(function()
      queue:put_nowait(1)
      queue:put_nowait(2)
    end)
    t:wait_until(function() return #list == 2 end)
    assert.same({1, 2}, list)
  end))
end)

describe("CURVE and ZAP", function()
  after_each(helper.cleanup)

  if not zmq.has("curve") then
    pending("libzmq was built without CURVE")
    return
  end

  local server_public, server_secret = zmq.curve_keypair()
  local client_public, client_secret = zmq.curve_keypair()

  -- A server at an address, whose messages are collected in the second result.
  local function curve_server(t, ctx, kind, more, enforced)
    local options = {curve_server = true, curve_secretkey = server_secret,
      zap_enforce_domain = enforced or nil}
    for name, value in pairs(more or {}) do options[name] = value end
    local server = stream(t, ctx, kind or "PULL", options)
    local got = {}
    server:on_recv(function(frames) got[#got + 1] = frames end)
    return server, got, "tcp://127.0.0.1:" .. assert(server:bind_to_random_port("tcp://127.0.0.1"))
  end

  local function client(t, address, options)
    options.reconnect_ivl = -1
    local made = stream(t, context(t), "PUSH", options)
    made:send("hello")
    local seen = watch(t, made)
    made:connect(address)
    return made, seen
  end

  local function curve_client(t, address, public, secret)
    return client(t, address, {curve_serverkey = server_public,
      curve_publickey = public or client_public, curve_secretkey = secret or client_secret})
  end

  -- Answers "200" to clients whose key is the client's; returns the requests.
  local function handler(t, ctx)
    local zap = stream(t, ctx, "REP", {bind = "inproc://zeromq.zap.01"})
    local requests = {}
    zap:on_recv(function(request)
      requests[#requests + 1] = request
      local good = request[7] == zmq.z85_decode(client_public)
      zap:send_multipart{"1.0", request[2], good and "200" or "400", "", "", ""}
    end)
    return requests
  end

  it("without a handler admits everyone who knows the server's key", async(function(t)
    local _, got, address = curve_server(t, context(t))
    curve_client(t, address, zmq.curve_keypair())
    t:wait_until(function() return got[1] end)
  end))

  it("with a domain, but no handler, admits everyone too", async(function(t)
    local _, got, address = curve_server(t, context(t), "PULL", {zap_domain = "global"})
    curve_client(t, address)
    t:wait_until(function() return got[1] end)
  end))

  it("with ZAP_ENFORCE_DOMAIN, a domain and no handler admits nobody", async(function(t)
    local server, got, address = curve_server(t, context(t), "PULL",
      {zap_domain = "global"}, true)
    local seen = watch(t, server)
    curve_client(t, address)
    t:wait_until(function() return seen.HANDSHAKE_FAILED_NO_DETAIL end)
    assert.same({}, got)
  end))

  it("with ZAP_ENFORCE_DOMAIN and no domain do not ask the handler", async(function(t)
    local ctx = context(t)
    local requests = handler(t, ctx)
    local _, got, address = curve_server(t, ctx, "PULL", {}, true)
    curve_client(t, address, zmq.curve_keypair())
    t:wait_until(function() return got[1] end)
    assert.same({}, requests)
  end))

  it("refuse a client without CURVE, and one with another server's key", async(function(t)
    local _, got, address = curve_server(t, context(t))
    for _, options in ipairs{{}, {curve_serverkey = zmq.curve_keypair(),
        curve_publickey = client_public, curve_secretkey = client_secret}} do
      local _, seen = client(t, address, options)
      t:wait_until(function() return seen.CONNECTED and seen.DISCONNECTED end)
      assert.is_nil(seen.HANDSHAKE_SUCCEEDED)
    end
    assert.same({}, got)
  end))

  it("ask the handler about each connection, and admit whom it admits", async(function(t)
    local ctx = context(t)
    local requests = handler(t, ctx)
    local server, got, address = curve_server(t, ctx, "PULL",
      {zap_domain = "global"}, true)
    local seen = watch(t, server)
    curve_client(t, address, zmq.curve_keypair())
    t:wait_until(function() return seen.HANDSHAKE_FAILED_AUTH end)
    assert.same({}, got)
    curve_client(t, address)
    t:wait_until(function() return got[1] end)
    local request = requests[#requests]
    assert.equal("1.0", request[1])
    assert.equal("global", request[3])
    assert.equal("127.0.0.1", request[4])
    assert.equal("CURVE", request[6])
    fails("EADDRINUSE", ctx:socket("REP", {bind = "inproc://zeromq.zap.01"}))
  end))

  it("do not cover inproc", async(function(t)
    local ctx = context(t)
    local _, got = curve_server(t, ctx, "PULL", {bind = "inproc://covered"})
    local plain = stream(t, ctx, "PUSH", {connect = "inproc://covered"})
    plain:send("hello")
    t:wait_until(function() return got[1] end)
  end))

  it("refuse a client of ZMTP 1", async(function(t)
    local server, got, address = curve_server(t, context(t), "REP")
    local raw = stream(t, context(t), "STREAM")
    local seen = watch(t, raw)
    -- the first frame that a STREAM receives is the id of its peer
    raw:on_recv(function(frames)
      if frames[2] == "" and not seen.sent then
        seen.sent = true
        raw:send_multipart{frames[1], "\1\0\1\0\6\0hello"}
      end
    end)
    raw:connect(address)
    t:wait_until(function() return seen.DISCONNECTED end)
    assert.same({}, got)
    assert.is_false(server:closed())
  end))

  it("are used by the program of SECURITY.md, which prints hello", test(function(t)
    local file = assert(io.open("SECURITY.md"))
    local program = assert(file:read("*a"):match("\n```lua\n(.-)```\n"))
    file:close()
    local output, status = t:run_child(program)
    assert.equal(0, status, output)
    assert.equal("hello\n", output)
  end))
end)
