local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

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

    it("raises for a type it does not know and names the nearest", test(function(t)
      raises("bad argument #1 to 'socket' (unknown type 'RAP'; did you mean 'REP'?)",
        t.ctx.socket, t.ctx, "RAP")
      raises("did you mean 'PUSH'?", t.ctx.socket, t.ctx, "push")
    end))

    it("raises for a bad value as its own argument, where it was called", test(function(t)
      local _, err = pcall(function() t.ctx:socket("PULL", {linger = "x"}) end)
      assert.matches("socket_spec.lua:%d+: bad argument #2 to 'socket' %(option 'linger': ", err)
      raises("(option 'bind': string expected, got number)", t.ctx.socket, t.ctx, "PULL",
        {bind = 5})
      raises("(option 'connect': string expected, got table)", t.ctx.socket, t.ctx, "PULL",
        {connect = {"inproc://a", {}}})
      raises("(option's name expected, got number)", t.ctx.socket, t.ctx, "PULL",
        {[zmq.LINGER] = 0})
      assert.is_true(t.ctx:term()) -- no socket is left behind
    end))

    it("names acts as well as options as the nearest", test(function(t)
      for wrong, right in pairs{bnd = "bind", conect = "connect", joinn = "join",
          unsubscribe = "subscribe"} do
        raises(("unknown option '%s'; did you mean '%s'?"):format(wrong, right), t.ctx.socket,
          t.ctx, "SUB", {[wrong] = "x"})
      end
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

  describe("addresses", function()
    it("bind and connect answer true, or a name and the address", test(function(t)
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

    it("an ipc path that is too long or has no folder fails and is named", test(function(t)
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

  describe("bind_to_random_port", function()
    it("raises for ranges that are none", test(function(t)
      local socket = t:socket("PULL")
      local function bad(text, options)
        raises("bad argument #2 to 'bind_to_random_port' (" .. text, socket.bind_to_random_port,
          socket, "tcp://127.0.0.1", options)
      end
      bad("table expected, got number)", 5)
      bad("unknown option 'mni'; did you mean 'min'?)", {mni = 1})
      bad("option 'min': integer expected, got x)", {min = "x"})
      bad("option 'max': integer expected, got 60000.5)", {max = 60000.5})
      bad("option 'min': out of range)", {min = 0})
      bad("option 'max': out of range)", {max = 65536})
      bad("option 'tries': out of range)", {tries = 0})
      bad("min is above max)", {min = 60001, max = 60000})
      bad("min is above max)", {max = 100})
      raises("bad argument #1 to 'bind_to_random_port' (string expected, got nil)",
        socket.bind_to_random_port, socket)
    end))

    it("is EINVAL for a transport without ports, and leaves nothing bound", test(function(t)
      local socket = t:socket("PULL")
      for _, address in ipairs{"ipc://" .. t:tmpname(), "inproc://x"} do
        local message = fails("EINVAL", socket:bind_to_random_port(address))
        assert.matches(address, message, 1, true)
      end
      assert.equal("", socket:get("last_endpoint"))
    end))
  end)

  describe("groups", function()
    it("want drafts, and a socket that has groups", test(function(t)
      local socket = t:socket("PULL")
      for _, method in ipairs{"join", "leave"} do
        fails("ENOTSUP", socket[method](socket, "g"))
        raises(("bad argument #1 to '%s' (group as a string expected, got nil)"):format(method),
          socket[method], socket)
      end
      fails("ENOTSUP", t.ctx:socket("PULL", {join = "g"}))
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
      assert.is_true(sub:unsubscribe("a"))
      pub:send("a")
      fails("EAGAIN", sub:recv(zmq.DONTWAIT))
    end))

    it("go both ways between PAIRs, in order", test(function(t)
      local a, b = t:pair("PAIR", "PAIR", "tcp")
      for i = 1, 10 do
        assert.is_true(a:send_multipart{"to b", tostring(i), ""})
        assert.is_true(b:send(("x"):rep(i - 1)))
      end
      for i = 1, 10 do
        assert.same({"to b", tostring(i), ""}, b:recv_multipart())
        assert.equal(("x"):rep(i - 1), a:recv())
      end
    end))

    it("of a DEALER come to a ROUTER with the sender in front", test(function(t)
      local router, dealer = t:socket("ROUTER"), t:socket("DEALER", {routing_id = "me\0"})
      dealer:connect(t:bind(router))
      dealer:send("hi")
      assert.equal("me\0", router:recv())
      assert.equal(1, router:get("rcvmore"))
      assert.equal("hi", router:recv())
      assert.equal(0, router:get("rcvmore"))
      assert.is_true(router:send_multipart{"me\0", "", "hi"})
      assert.same({"", "hi"}, dealer:recv_multipart())
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

    it("comes with the end of the scope, where Lua has them", test(function(t)
      local ctx, socket = t.ctx
      if _VERSION < "Lua 5.4" then
        socket = ctx:socket("PULL")
        getmetatable(socket).__close(socket)
      else
        socket = assert(load([[
          local ctx = ...
          local outer <close> = ctx:socket("PULL")
          do local inner <close> = ctx:socket("PULL") end
          return outer
        ]]))(ctx)
      end
      assert.is_true(socket:closed())
      assert.is_true(ctx:term())
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
    assert.matches("^zmq.Socket %(DEALER, open%)", tostring(socket))
    socket:close()
    assert.matches("^zmq.Socket %(DEALER, closed%)", tostring(socket))
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
