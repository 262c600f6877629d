local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local test = helper.test

-- Errors must name the fault; the text before is "file:line: ".
local function raises(pattern, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "no error, expected: " .. pattern)
  assert.matches(pattern, tostring(err), 1, true)
end

local function fails(name, ...)
  local result, message, got = ...
  assert.is_nil(result)
  assert.equal(name, got)
  assert.matches("^" .. name .. ": ", message)
  return message
end

describe("zmq", function()
  it("is the same module by both roads", function()
    assert.equal(zmq, zmqloop.zmq)
  end)

  it("tells the version of libzmq and what it was built with", function()
    local major, minor, patch = zmq.version()
    assert.is_true(major > 4 or major == 4 and minor >= 3)
    assert.is_number(patch)
    assert.is_true(zmq.has("ipc"))
    assert.is_false(zmq.has("something weird"))
  end)

  it("has libzmq's constants without their prefix", function()
    assert.equal(0, zmq.PAIR)
    assert.equal(3, zmq.REQ)
    assert.equal(4, zmq.REP)
    assert.equal(1, zmq.POLLIN)
    assert.equal(2, zmq.POLLOUT)
    assert.equal(1, zmq.DONTWAIT)
    assert.equal(2, zmq.SNDMORE)
    assert.equal(17, zmq.LINGER)
  end)
end)

describe("Context", function()
  after_each(helper.cleanup)

  it("is made by a call or by new, with options", function()
    local ctx = zmq.Context{io_threads = 2, max_sockets = 7}
    assert.equal(2, ctx:get("io_threads"))
    assert.equal(7, ctx:get("max_sockets"))
    assert.equal(7, ctx:get(zmq.MAX_SOCKETS))
    ctx:set("max_sockets", 9)
    assert.equal(9, ctx:get("max_sockets"))
    assert.is_false(ctx:closed())
    assert.is_true(ctx:term())
    assert.is_true(ctx:closed())
    assert.is_true(zmq.Context.new():term())
  end)

  it("rejects options it does not know, naming the nearest, and bad values", function()
    raises("io_threads", zmq.Context, {io_treads = 2})
    raises("io_treads", zmq.Context, {io_treads = 2})
    assert.has_error(function() zmq.Context{io_threads = "many"} end)
    fails("EINVAL", zmq.Context{io_threads = -1})
    assert.has_error(function() zmq.Context(1) end)
  end)

  it("instance() is one per state until it is closed", function()
    local ctx = zmq.Context.instance()
    assert.equal(ctx, zmq.Context.instance())
    assert.is_true(ctx:term())
    local fresh = zmq.Context.instance()
    assert.not_equal(ctx, fresh)
    assert.is_false(fresh:closed())
    fresh:term()
  end)

  it("terminates silently any number of times, and says so when used", function()
    local ctx = zmq.Context()
    assert.is_true(ctx:term())
    assert.is_true(ctx:term())
    assert.is_true(ctx:destroy())
    raises("context is closed", ctx.shutdown, ctx)
    raises("context is closed", ctx.socket, ctx, "PULL")
    raises("context is closed", ctx.get, ctx, "io_threads")
    raises("context is closed", ctx.set, ctx, "io_threads", 1)
  end)

  it("term() with an open socket says EBUSY instead of waiting for ever", function()
    local ctx = zmq.Context()
    local socket = ctx:socket("PULL")
    fails("EBUSY", ctx:term())
    local _, _, name = socket:recv(zmq.DONTWAIT)
    assert.equal("ETERM", name)
    socket:close()
    assert.is_true(ctx:term())
  end)

  it("shutdown() makes calls on its sockets answer ETERM", function()
    local ctx = zmq.Context()
    local socket = ctx:socket("PULL")
    ctx:shutdown()
    fails("ETERM", socket:recv())
    socket:close()
    ctx:term()
  end)

  it("destroy() closes its sockets, whatever they still hold", function()
    local ctx = zmq.Context()
    local push = ctx:socket("PUSH", {linger = -1})
    assert.is_true(push:connect("tcp://127.0.0.1:1"))
    assert.is_true(push:send("nobody will ever get this"))
    local closed = ctx:socket("PULL")
    closed:close()
    local others = {}
    for i = 1, 3 do others[i] = ctx:socket("PULL") end
    ctx:destroy(0)
    assert.is_true(ctx:closed())
    assert.is_true(push:closed())
    for i = 1, 3 do assert.is_true(others[i]:closed()) end
    ctx:destroy()
  end)

  it("is kept alive by its sockets", function()
    local a, b
    helper.apart(function()
      local ctx = zmq.Context()
      a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
    end)
    collectgarbage()
    collectgarbage()
    assert.is_true(a:bind("inproc://kept"))
    assert.is_true(b:connect("inproc://kept"))
    assert.is_true(a:send("x"))
    assert.equal("x", b:recv())
    a:close()
    b:close()
  end)

  it("dropped with its sockets is collected and never hangs", function()
    for _ = 1, 5 do
      local ctx = zmq.Context()
      local push = ctx:socket("PUSH", {linger = -1})
      push:connect("tcp://127.0.0.1:1")
      push:send("lost")
    end
    collectgarbage()
    collectgarbage()
  end)

  it("holds as many sockets as max_sockets says", function()
    local ctx = zmq.Context{max_sockets = 5}
    local sockets = {}
    local name
    for i = 1, 10 do
      local socket, _, code = ctx:socket("PULL")
      if not socket then
        name = code
        break
      end
      sockets[i] = socket
    end
    assert.equal("EMFILE", name)
    assert.is_true(#sockets > 0)
    ctx:destroy(0)
  end)

  it("shows its type and state", test(function(t)
    assert.matches("^Context", tostring(t.ctx))
    local ctx = zmq.Context()
    ctx:term()
    assert.matches("closed", tostring(ctx))
  end))
end)

describe("Socket", function()
  after_each(helper.cleanup)

  describe("creation", function()
    it("takes the type by name or number", test(function(t)
      assert.equal(zmq.REP, t:keep(t.ctx:socket("REP")):get("type"))
      assert.equal(zmq.REP, t:keep(t.ctx:socket(zmq.REP)):get("type"))
      raises("bad argument #1 to 'socket'", t.ctx.socket, t.ctx, "RAP")
      assert.has_error(function() t.ctx:socket({}) end)
      assert.has_error(function() t.ctx:socket() end)
      -- a number that libzmq does not know is the world's failure or misuse
      local ok, result, _, name = pcall(t.ctx.socket, t.ctx, 4711)
      assert.is_true(not ok or result == nil and name == "EINVAL")
    end))

    it("applies options before bind and connect", test(function(t)
      local address = t:address("inproc")
      local pub = t:keep(t.ctx:socket("PUB", {linger = 0, sndhwm = 11, bind = address}))
      local sub = t:keep(t.ctx:socket("SUB", {
        linger = 0, rcvhwm = 12, subscribe = {"a", "b"}, connect = {address},
      }))
      assert.equal(11, pub:get("sndhwm"))
      assert.equal(12, sub:get("rcvhwm"))
      assert.equal(address, pub:get("last_endpoint"))
      assert.is_true(pub:send("c1"))
      assert.is_true(pub:send("a1"))
      assert.is_true(pub:send("b1"))
      assert.equal("a1", sub:recv())
      assert.equal("b1", sub:recv())
    end))

    it("raises for an option it does not know and names the nearest", test(function(t)
      raises("linger", t.ctx.socket, t.ctx, "PULL", {lingr = 0})
      raises("sndhwm", t.ctx.socket, t.ctx, "PULL", {sndhmw = 1})
      local ok, err = pcall(t.ctx.socket, t.ctx, "PULL", {lingr = 0})
      assert.is_false(ok)
      assert.matches("lingr", err)
      -- and leaves no socket behind
      assert.is_true(t.ctx:term())
    end))

    it("has a bounded linger from the start", test(function(t)
      assert.equal(1000, t:keep(t.ctx:socket("PUSH")):get("linger"))
    end))

    it("hands the failure of a bind in its options to the caller", test(function(t)
      local address = t:address("inproc")
      t:keep(t.ctx:socket("PULL", {bind = address}))
      local message = fails("EADDRINUSE", t.ctx:socket("PULL", {bind = address}))
      assert.matches(address, message, 1, true)
    end))
  end)

  describe("options", function()
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
  end)

  describe("addresses", function()
    it("bind and connect answer true, bad ones a name and the address", test(function(t)
      local socket = t:socket("PULL")
      assert.is_true(socket:bind(t:address("inproc")))
      local message = fails("EPROTONOSUPPORT", socket:bind("carrier://pigeon"))
      assert.matches("carrier://pigeon", message, 1, true)
      message = fails("EINVAL", socket:bind("tcp://"))
      assert.matches("tcp://", message, 1, true)
      fails("EINVAL", socket:connect("nonsense"))
      fails("EINVAL", socket:connect(""))
      fails("ENODEV", socket:bind("tcp://no-such-interface0:5555"))
      fails("ENOENT", socket:unbind("tcp://127.0.0.1:1"))
      fails("ENOENT", socket:disconnect("tcp://127.0.0.1:1"))
    end))

    it("a second bind is EADDRINUSE and names the address", test(function(t)
      for _, transport in ipairs{"inproc", "tcp"} do
        local first, second = t:socket("PULL"), t:socket("PULL")
        local endpoint = t:bind(first, transport)
        local message = fails("EADDRINUSE", second:bind(endpoint))
        assert.equal(("EADDRINUSE: address already in use (%s)"):format(endpoint),
          (message:gsub("Address", "address")))
      end
    end))

    it("an ipc path that is too long or has no folder fails, naming the path", test(function(t)
      local socket = t:socket("PULL")
      local long = "ipc:///tmp/" .. ("x"):rep(200)
      local message = fails("ENAMETOOLONG", socket:bind(long))
      assert.matches(long, message, 1, true)
      local missing = "ipc://" .. t:tmpname() .. "/none/sock"
      local result, text, name = socket:bind(missing)
      assert.is_nil(result)
      assert.is_true(name == "ENOENT" or name == "ENOTDIR", name)
      assert.matches(missing, text, 1, true)
    end))

    it("are strings without NUL", test(function(t)
      local socket = t:socket("PULL")
      assert.has_error(function() socket:bind() end)
      assert.has_error(function() socket:bind({}) end)
      fails("EINVAL", socket:connect("inproc://a\0b"))
    end))

    it("unbind and disconnect undo", test(function(t)
      local pull, push = t:socket("PULL"), t:socket("PUSH")
      local endpoint = t:bind(pull, "tcp")
      assert.is_true(push:connect(endpoint))
      assert.is_true(push:disconnect(endpoint))
      fails("EAGAIN", push:send("x", zmq.DONTWAIT))
      assert.is_true(pull:unbind(endpoint))
    end))

    it("bind_to_random_port returns a port to connect to", test(function(t)
      local pull, push = t:socket("PULL"), t:socket("PUSH")
      local port = assert(pull:bind_to_random_port("tcp://127.0.0.1"))
      assert.is_number(port)
      assert.is_true(push:connect("tcp://127.0.0.1:" .. ("%d"):format(port)))
      push:send("x")
      assert.equal("x", pull:recv())
    end))

    it("bind_to_random_port keeps to a range, and gives up when it is full", test(function(t)
      local sockets, ports = {}, {}
      local failed
      for i = 1, 4 do
        sockets[i] = t:socket("PULL")
        local port, message, name = sockets[i]:bind_to_random_port("tcp://127.0.0.1",
          {min = 51734, max = 51736, tries = 200})
        if port then
          assert.is_true(port >= 51734 and port <= 51736)
          assert.is_nil(ports[port])
          ports[port] = true
        else
          failed = name
          assert.is_string(message)
        end
      end
      assert.equal("EADDRINUSE", failed)
    end))

    it("bind_to_random_port does not hide other errors", test(function(t)
      local socket = t:socket("PULL")
      fails("EPROTONOSUPPORT", socket:bind_to_random_port("rand://*"))
      local result, _, name = socket:bind_to_random_port("tcp:*")
      assert.is_nil(result)
      assert.equal("EINVAL", name)
      assert.has_error(function() socket:bind_to_random_port("tcp://127.0.0.1", {mni = 1}) end)
    end))
  end)

  describe("messages", function()
    it("are bytes: empty, with NUL, large", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      for _, data in ipairs{"", "\0", "a\0b\0", ("\0\1\2\255"):rep(100000), "x"} do
        assert.is_true(push:send(data))
        assert.equal(data, pull:recv())
      end
    end))

    it("are strings and nothing else, numbers included", test(function(t)
      local _, push = t:pair("PULL", "PUSH")
      for _, bad in ipairs{5, 1.5, true, {}, print} do
        raises("bad argument #1 to 'send'", push.send, push, bad)
      end
      raises("bad argument #1 to 'send'", push.send, push)
    end))

    it("of many frames arrive whole, empty frames included", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      local frames = {"", "a\0b", "", "z"}
      assert.is_true(push:send_multipart(frames))
      assert.same(frames, pull:recv_multipart())
      assert.is_true(push:send_multipart({""}))
      assert.same({""}, pull:recv_multipart())
    end))

    it("have all frames checked before one is sent", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      for _, bad in ipairs{5, false, {}, print} do
        local ok, err = pcall(push.send_multipart, push, {"a", "b", bad})
        assert.is_false(ok)
        assert.matches("3", err, 1, true)
        assert.matches("send_multipart", err, 1, true)
      end
      assert.has_error(function() push:send_multipart({}) end)
      assert.has_error(function() push:send_multipart("a") end)
      assert.has_error(function() push:send_multipart() end)
      assert.is_true(push:send("alone"))
      assert.same({"alone"}, pull:recv_multipart())
      fails("EAGAIN", pull:recv(zmq.DONTWAIT))
    end))

    it("frame by frame with SNDMORE and rcvmore", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      assert.is_true(push:send("a", zmq.SNDMORE))
      assert.is_true(push:send("b"))
      assert.equal("a", pull:recv())
      assert.equal(1, pull:get("rcvmore"))
      assert.equal("b", pull:recv())
      assert.equal(0, pull:get("rcvmore"))
    end))

    it("that are not there are EAGAIN, by flag or by timeout", test(function(t)
      local pull = t:socket("PULL", {rcvtimeo = 1})
      local push = t:socket("PUSH", {sndtimeo = 1})
      t:bind(pull)
      fails("EAGAIN", pull:recv(zmq.DONTWAIT))
      fails("EAGAIN", pull:recv())
      fails("EAGAIN", pull:recv_multipart(zmq.DONTWAIT))
      fails("EAGAIN", push:send("x", zmq.DONTWAIT))
      fails("EAGAIN", push:send("x"))
      fails("EAGAIN", push:send_multipart({"x", "y"}))
      -- the answer is always the same text: nothing is allocated for it
      local _, first = pull:recv(zmq.DONTWAIT)
      local _, second = pull:recv(zmq.DONTWAIT)
      assert.equal(first, second)
      assert.matches("^EAGAIN: ", first)
    end))

    it("out of turn are EFSM, and the socket goes on", test(function(t)
      local rep, req = t:pair("REP", "REQ")
      fails("EFSM", req:recv(zmq.DONTWAIT))
      fails("EFSM", rep:send("x"))
      assert.is_true(req:send("question"))
      fails("EFSM", req:send("again"))
      assert.equal("question", rep:recv())
      assert.is_true(rep:send("answer"))
      assert.equal("answer", req:recv())
    end))

    it("in a direction the type has not are ENOTSUP", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      fails("ENOTSUP", pull:send("x"))
      fails("ENOTSUP", push:recv(zmq.DONTWAIT))
    end))

    it("reach subscribers of their prefix", test(function(t)
      local pub, sub = t:pair("PUB", "SUB")
      assert.is_true(sub:subscribe("a"))
      assert.is_true(sub:subscribe("b"))
      assert.is_true(sub:unsubscribe("b"))
      for _, topic in ipairs{"b", "c", "a"} do pub:send(topic) end
      assert.equal("a", sub:recv())
      fails("EAGAIN", sub:recv(zmq.DONTWAIT))
    end))
  end)

  describe("poll", function()
    it("answers a mask, 0 when nothing comes in so many milliseconds", test(function(t)
      local pull, push = t:pair("PULL", "PUSH")
      assert.equal(0, pull:poll(0))
      assert.equal(0, pull:poll(1))
      assert.equal(zmq.POLLOUT, push:poll(1000, zmq.POLLOUT))
      push:send("x")
      assert.equal(zmq.POLLIN, pull:poll(1000))
      assert.equal(zmq.POLLIN, pull:poll(1000, zmq.POLLIN))
      pull:recv()
      assert.equal(0, pull:poll(0))
    end))

    it("on a PAIR tells both directions apart", test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local both = zmq.POLLIN + zmq.POLLOUT
      assert.equal(zmq.POLLOUT, a:poll(100, both))
      b:send("x")
      assert.equal(both, a:poll(100, both))
    end))
  end)

  describe("close", function()
    it("is silent the second time; everything else raises", test(function(t)
      local socket = t:socket("DEALER")
      assert.is_false(socket:closed())
      socket:close()
      socket:close()
      assert.is_true(socket:closed())
      local calls = {
        bind = {"inproc://x"}, connect = {"inproc://x"}, unbind = {"inproc://x"},
        disconnect = {"inproc://x"}, bind_to_random_port = {"tcp://127.0.0.1"},
        send = {"x"}, recv = {}, send_multipart = {{"x"}}, recv_multipart = {},
        poll = {0}, set = {"linger", 0}, get = {"linger"},
        setsockopt = {"linger", 0}, getsockopt = {"linger"},
        subscribe = {"x"}, unsubscribe = {"x"}, handle = {},
      }
      for method, args in pairs(calls) do
        local ok, err = pcall(socket[method], socket, args[1], args[2])
        assert.is_false(ok, method)
        assert.matches("socket is closed", err, 1, true)
      end
    end))

    it("takes a linger in milliseconds", test(function(t)
      local socket = t.ctx:socket("PUSH")
      socket:connect("tcp://127.0.0.1:1")
      socket:send("lost")
      assert.has_error(function() socket:close("x") end)
      assert.is_false(socket:closed())
      socket:close(0)
      assert.is_true(t.ctx:term())
    end))

    it("frees the address", test(function(t)
      local endpoint = t:address("inproc")
      local first = t:socket("PULL")
      assert.is_true(first:bind(endpoint))
      first:close()
      -- libzmq closes in the background
      local second, bound = t:socket("PULL"), nil
      t:run_until(function()
        bound = second:bind(endpoint)
        return bound
      end)
      assert.is_true(bound)
    end))
  end)

  it("shows its type and state", test(function(t)
    local socket = t:socket("DEALER")
    assert.matches("Socket", tostring(socket))
    assert.matches("open", tostring(socket))
    socket:close()
    assert.matches("closed", tostring(socket))
  end))

  it("hands out its handle for other bindings", test(function(t)
    assert.equal("userdata", type(t:socket("PULL"):handle()))
  end))

  it("is no table: a method called on something else raises", test(function(t)
    local socket = t:socket("PULL")
    assert.has_error(function() socket.recv({}) end)
    assert.has_error(function() socket.recv() end)
    assert.has_error(function() socket.recv(t.ctx) end)
    assert.has_error(function() socket.recv(io.stdout) end)
  end))

  it("dropped is collected, with a bounded linger", test(function(t)
    local weak = setmetatable({}, {__mode = "k"})
    helper.apart(function()
      local socket = t.ctx:socket("PUSH")
      socket:connect("tcp://127.0.0.1:1")
      socket:send("lost")
      weak[socket] = true
    end)
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
  end))
end)
