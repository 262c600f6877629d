-- Connects to inproc names that are not bound yet: libzmq aborted the process when the name was
-- bound by a socket that cannot accept all waiting ones, and at the context's end if it had no
-- socket left to bind the name.
local helper = require("spec.helper")
local test = helper.test

describe("a name of inproc that is waited for", function()
  after_each(helper.cleanup)

  local function survives(t, source)
    local output, status = t:run_child([[
      local zmq = zmqloop.zmq
      local ctx = zmq.Context{linger = 0}
      local function refused(ok, message, name)
        assert(ok == nil and name == "ENOCOMPATPROTO" and message:find("inproc://x", 1, true))
      end
      local function waits(kind, context, options)
        local socket = (context or ctx):socket(kind, options)
        assert(socket:connect("inproc://x"))
        return socket
      end
    ]] .. source .. [[
      print("survived")
    ]])
    assert.equal("survived\n", output)
    assert.equal(0, status)
  end

  it("is not bound by a PAIR if a later one of several wants its routing id", test(function(t)
    survives(t, [[
      for _, kind in ipairs{"ROUTER", "REP"} do
        local first, second = waits("DEALER"), waits(kind)
        refused(ctx:socket("PAIR"):bind("inproc://x"))
        local router = ctx:socket("ROUTER")
        assert(router:bind("inproc://x")) -- takes both
        assert(router:unbind("inproc://x"))
        first, second = waits(kind), waits("DEALER")
        local pair = ctx:socket("PAIR")
        assert(pair:bind("inproc://x") and pair:unbind("inproc://x"))
        first, second = waits("DEALER"), waits(kind)
        second:close() -- wants nothing any more
        assert(pair:bind("inproc://x") and pair:unbind("inproc://x"))
        waits(kind)
        assert(ctx:socket("PAIR"):bind("inproc://x")) -- the only one
        ctx:destroy(0)
        ctx = zmq.Context{linger = 0}
      end
    ]])
  end))

  it("is known to the contexts that are borrowed in the same state", test(function(t)
    survives(t, [[
      local borrowed = zmq.Context(ctx:handle())
      local again = zmq.Context(borrowed:handle())
      local first, second = waits("DEALER", again), waits("ROUTER", borrowed)
      refused(ctx:socket("PAIR"):bind("inproc://x"))
      refused(again:socket("PAIR"):bind("inproc://x"))
      first:close()
      second:close()
      assert(borrowed:destroy() and again:destroy())
      assert(ctx:destroy(0))
    ]])
  end))

  it("is not bound after a disconnect by who wants a routing id", test(function(t)
    survives(t, [[
      local router = waits("ROUTER")
      assert(router:disconnect("inproc://x"))
      for _, kind in ipairs{"DEALER", "PAIR", "PULL"} do
        refused(ctx:socket(kind):bind("inproc://x"))
      end
      router:close()
      assert(ctx:socket("DEALER"):bind("inproc://x"))
      ctx:destroy(0)
    ]])
  end))

  it("is not bound by who greets, if one that waited is gone", test(function(t)
    survives(t, [[
      waits("SUB"):close()
      local sub = waits("SUB", ctx, {subscribe = ""})
      local xpub = ctx:socket("XPUB", {xpub_welcome_msg = "hello"})
      refused(xpub:bind("inproc://x"))
      assert(xpub:set("xpub_welcome_msg", ""))
      assert(xpub:bind("inproc://x"))
      ctx:destroy(0)
    ]])
  end))

  it("gets what was sent by a socket that is closed", test(function(t)
    survives(t, [[
      local push = waits("PUSH")
      push:send("x")
      push:close()
      assert(ctx:socket("PULL", {bind = "inproc://x"}):recv() == "x")
      ctx:destroy(0)
    ]])
  end))

  for _, how in ipairs{"term", "destroy", "shutdown", "collect", "exit"} do
    it("leaves the context its end when sockets are used up: " .. how, test(function(t)
      survives(t, ([[
        ctx = zmq.Context{max_sockets = 2, linger = 0}
        waits("PUSH"):close()
        for _ = 1, 100 do -- closed sockets that wait have their place for good
          local socket, _, name = ctx:socket("ROUTER")
          if not socket then assert(name == "EMFILE") break end
          socket:connect("inproc://x")
        end
        local how = %q
        if how == "term" then
          collectgarbage()
          collectgarbage()
          assert(ctx:term())
        elseif how == "destroy" then
          assert(ctx:destroy(0))
        elseif how == "shutdown" then
          assert(ctx:shutdown() and ctx:destroy(0))
        elseif how == "collect" then
          ctx = nil
          collectgarbage()
          collectgarbage()
        end
      ]]):format(how))
    end))
  end

  it("leaves one socket fewer, and the connect that has none is EMFILE", test(function(t)
    survives(t, [[
      ctx = zmq.Context{max_sockets = 1, linger = 0}
      local push = ctx:socket("PUSH")
      local _, _, name = push:connect("inproc://x")
      assert(name == "EMFILE")
      push:close()
      assert(ctx:term())
    ]])
  end))
end)

describe("a context of which another one was borrowed in the same state", function()
  after_each(helper.cleanup)

  for _, method in ipairs{"term", "destroy"} do
    it("is EBUSY for " .. method .. " while that one has a socket", test(function(t)
      local zmq = require("zmqloop").zmq
      local ctx = zmq.Context()
      local borrowed = zmq.Context(ctx:handle())
      local pub = borrowed:socket("PUB")
      helper.fails("EBUSY", ctx[method](ctx))
      helper.fails("ETERM", pub:send("x"))
      pub:close()
      assert.is_true(ctx[method](ctx))
      helper.fails("EFAULT", borrowed:socket("PUB"))
      helper.fails("EFAULT", borrowed:get("io_threads"))
      helper.fails("EFAULT", borrowed:set("io_threads", 1))
      assert.is_true(borrowed:term())
      t.loop:step(0)
    end))
  end

  it("is not collected before that one", test(function()
    local zmq = require("zmqloop").zmq
    local borrowed
    helper.apart(function() borrowed = zmq.Context(zmq.Context():handle()) end)
    collectgarbage()
    collectgarbage()
    local a = borrowed:socket("PAIR", {bind = "inproc://a"})
    local b = borrowed:socket("PAIR", {connect = "inproc://a"})
    assert.is_true(a:send("x"))
    assert.equal("x", b:recv())
    borrowed:destroy(0)
  end))
end)
