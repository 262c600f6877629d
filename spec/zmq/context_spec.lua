local helper = require("spec.helper")
local elsewhere = require("elsewhere")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

describe("Context", function()
  after_each(helper.cleanup)

  it("of a class without __index has the methods of that class, and so have its sockets",
    test(function()
      local Socket = setmetatable({kind = "own"}, {__index = zmq.Socket})
      local Context = setmetatable({socket_class = Socket}, {__index = zmq.Context})
      function Context:pair() return self:socket("PAIR") end
      local ctx = zmq.Context.derive(Context)()
      local pair = ctx:pair()
      assert.equal("own", pair.kind)
      assert.is_true(pair:bind("inproc://x"))
      assert.is_true(ctx:destroy(0))
    end))

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
    raises("bad argument #1 to 'Context' (unknown option 'io_treads'; did you mean 'io_threads'?)",
      zmq.Context, {io_treads = 2})
    raises("bad argument #1 to 'Context' (option 'linger': integer expected", zmq.Context.new,
      {linger = "x"})
    local _, err = pcall(function() local ctx = zmq.Context{io_threads = "x"} return ctx end)
    assert.matches("context_spec.lua:%d+: bad argument #1 to 'Context'", err)
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

  it("instance() of a forked process is another one", test(function()
    local ctx = zmq.Context.instance()
    assert.is_true(elsewhere.process(function()
      local fresh = zmq.Context.instance()
      assert(fresh ~= ctx and fresh == zmq.Context.instance())
      local a, b = fresh:socket("PAIR"), fresh:socket("PAIR")
      assert(a:bind("inproc://child") and b:connect("inproc://child"))
      assert(a:send("x") and b:recv() == "x")
      assert(fresh:destroy(0))
    end))
    assert.equal(ctx, zmq.Context.instance())
    ctx:term()
  end))

  it("of the parent answers ECHILD in a forked process, and is left alone", test(function(t)
    local pull, push = t:pair("PULL", "PUSH", "tcp")
    assert.is_true(elsewhere.process(function()
      helper.fails("ECHILD", t.ctx:socket("PULL"))
      helper.fails("ECHILD", pull:bind("tcp://127.0.0.1:*"))
      helper.fails("EPERM", t.ctx:shutdown())
      pull:close()
      push:close()
      assert(t.ctx:term())
    end))
    assert.is_true(push:send("x"))
    assert.equal("x", pull:recv())
  end))

  it("gives its sockets defaults; types that do not know one leave it out", function()
    local ctx = zmq.Context{linger = 5, rcvtimeo = 3, subscribe = "", io_threads = 1}
    assert.equal(5, ctx:get("linger"))
    local pub, sub = ctx:socket("PUB"), ctx:socket("SUB", {linger = 6})
    assert.equal(5, pub:get("linger"))
    assert.equal(6, sub:get("linger"))
    assert.equal(3, sub:get("rcvtimeo"))
    assert.is_true(pub:bind("inproc://defaults"))
    assert.is_true(sub:connect("inproc://defaults"))
    assert.is_true(pub:send("all are subscribed"))
    assert.equal("all are subscribed", sub:recv())
    assert.is_true(ctx:set(zmq.LINGER, 0))
    assert.equal(0, ctx:socket("PULL"):get("linger"))
    assert.is_true(ctx:set("linger", nil))
    assert.equal(1000, ctx:socket("PULL"):get("linger"))
    fails("EINVAL", ctx:get("linger"))
    fails("EINVAL", ctx:set("fd", 3))
    raises("option 'linger'", ctx.set, ctx, "linger", "x")
    raises("did you mean 'linger'", ctx.set, ctx, "lingr", 1)
    raises("did you mean 'io_threads'", ctx.get, ctx, "io_thread")
    assert.is_true(ctx:destroy(0))
  end)

  it("refuses what would make libzmq abort the process", function()
    local ctx = zmq.Context()
    for _, value in ipairs{-1, 99999, 2147483647} do
      fails("EINVAL", ctx:set("thread_affinity_cpu_add", value))
    end
    fails("EINVAL", ctx:set("max_sockets", 2147483647))
    fails("EINVAL", ctx:set("io_threads", 2147483647))
    fails("EINVAL", ctx:set("io_threads", -1))
    fails("EINVAL", ctx:set("max_sockets", 0))
    fails("EINVAL", ctx:set(9999, 1))
    raises("out of range", ctx.set, ctx, "io_threads", 2 ^ 40)
    assert.is_true(ctx:set("thread_sched_policy", 99))
    fails("EINVAL", ctx:socket("PULL"))
    assert.is_true(ctx:term())
  end)

  it("without enough descriptors left gives EMFILE, and libzmq does not abort", test(function(t)
    local output, status = t:run_child(helper.program("context_with_few_descriptors"), {}, nil,
      "ulimit -n 64;")
    assert.equal("true\n", output)
    assert.equal(0, status)
  end))

  it("of another thread is borrowed: inproc reaches it, it is not ended", test(function(t)
    local pull = t:socket("PULL")
    local endpoint = t:bind(pull, "inproc")
    local worker = elsewhere.thread(([[
      package.path, package.cpath = %q, %q
      local zmq = require("zmqloop").zmq
      local ctx = assert(zmq.Context(...))
      local _, _, refused = ctx:shutdown()
      assert(refused == "EPERM")
      local push = assert(ctx:socket("PUSH"))
      local never = assert(ctx:socket("PULL"))
      assert(push:connect(%q))
      assert(push:send("from the thread"))
      local _, _, name = ctx:term()
      assert(name == "EBUSY")
      local _, _, ended = never:recv()
      push:close()
      never:close()
      assert(ctx:term() and ctx:closed())
      return ended
    ]]):format(package.path, package.cpath, endpoint), t.ctx:handle())
    assert.equal("from the thread", pull:recv())
    pull:close()
    assert.is_true(t.ctx:term()) -- waits for the other thread's sockets, which see ETERM
    local ok, result = worker:join()
    assert.equal("ETERM", result)
    assert.is_true(ok)
  end))

  it("borrowed and dropped leaves the lender's sockets working", test(function(t)
    local a, b = t:pair("PAIR", "PAIR")
    for _ = 1, 3 do
      local borrowed = zmq.Context(t.ctx:handle())
      assert.is_true(borrowed:socket("PULL"):bind(t:address("inproc")))
    end
    collectgarbage()
    collectgarbage()
    assert.is_true(a:send("x"))
    assert.equal("x", b:recv())
    local borrowed = zmq.Context.new(t.ctx:handle())
    assert.is_true(borrowed:destroy(0))
    assert.is_false(t.ctx:closed())
    raises("context is closed", borrowed.handle, borrowed)
    raises("bad argument #1 to 'Context'", zmq.Context, t.ctx)
    raises("bad argument #1 to 'Context'", zmq.Context, "x")
  end))

  it("borrowed answers EFAULT once its lender has ended it", function()
    local ctx = zmq.Context()
    local borrowed = zmq.Context(ctx:handle())
    assert.is_false(borrowed:closed())
    assert.is_true(ctx:term())
    fails("EFAULT", borrowed:socket("PULL"))
    assert.is_true(borrowed:term())
  end)

  it("makes many sockets, and all are gone with it", function()
    for _ = 1, 4 do
      local ctx = zmq.Context()
      local sockets = {}
      for i = 1, 65 do sockets[i] = assert(ctx:socket("REP")) end
      for i = 1, 65, 2 do sockets[i]:close() end
      assert.matches("32 sockets", tostring(ctx))
      assert.is_true(ctx:destroy(0))
      for i = 1, 65 do assert.is_true(sockets[i]:closed()) end
      sockets[1]:close()
    end
  end)

  it("is destroyed at the end of a scope, where Lua has them", test(function(t)
    local ctx = zmq.Context()
    local socket = ctx:socket("PULL")
    getmetatable(ctx).__close(ctx)
    assert.is_true(ctx:closed())
    assert.is_true(socket:closed())
    assert.is_true(t.ctx:term())
  end))
end)
