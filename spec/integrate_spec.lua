-- zmqloop.integrate: a loop inside that of luv and of cqueues, as installed. What both must do is
-- written once, for a host with
--
--   attach(loop)        what the module's attach() returns
--   after(seconds, fn)  calls fn once, by a timer of the other loop
--   run()               runs the other loop until nothing is left to do there;
--                       raises what the watchdog and callbacks of after() raise
local elsewhere = require("elsewhere")
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test

local WATCHDOG_SECONDS = 20

local function describe_contract(new_host)
  -- A body is given a host with the test's loop attached to it.
  local function hosted(body)
    return test(function(t)
      local other = new_host(t)
      local attached = t:keep(assert(other.attach(t.loop)), "detach")
      body(t, other, attached)
    end)
  end

  local function run(t, other)
    other.run()
    t:raise_errors()
  end

  it("serves callbacks, timeouts, streams and tasks", hosted(function(t, other)
    local rep, req = t:streams("REP", "REQ", "tcp")
    local got, slept = {}, false
    rep:on_recv(function(frames) rep:send("re: " .. frames[1]) end)
    req:on_recv(function(frames)
      got[#got + 1] = frames[1]
      if #got < 100 then
        req:send("next")
      else
        t.loop:call_later(0.001, t.loop.stop, t.loop)
      end
    end)
    req:send("first")
    t.loop:add_callback(t.expect(function() end))
    t.loop:spawn(function()
      zmqloop.sleep(0.001)
      slept = true
    end)
    run(t, other)
    assert.equal(100, #got)
    assert.equal("re: first", got[1])
    assert.is_true(slept)
  end))

  it("serves what is queued in callbacks of the other loop", hosted(function(t, other)
    local push, pull = t:streams("PUSH", "PULL")
    local order = {}
    local function note(what) order[#order + 1] = what end
    pull:on_recv(function(frames) note(frames[1]) end)
    other.after(0.005, function()
      note("host")
      t.loop:add_callback(note, "callback")
      t.loop:call_later(0.01, function()
        note("timeout")
        other.after(0.005, function()
          note("host again")
          t.loop:call_later(0.01, t.loop.stop, t.loop)
        end)
      end)
      push:send("message")
    end)
    run(t, other)
    assert.same({"host", "callback", "message", "timeout", "host again"}, order)
  end))

  it("keeps deadlines: none is early, and they are in order", hosted(function(t, other)
    local start, order = t.loop:time(), {}
    for _, ms in ipairs{15, 5, 0, 25.5, 10, 0.3} do
      t.loop:call_later(ms / 1000, function()
        assert.is_true(t.loop:time() - start >= ms / 1000)
        order[#order + 1] = ms
        if ms == 25.5 then t.loop:stop() end
      end)
    end
    run(t, other)
    assert.same({0, 0.3, 5, 10, 15, 25.5}, order)
  end))

  it("ends a wait of the other loop for a timeout that is due before", hosted(function(t, other)
    local fired
    other.after(0.001, function()
      -- from now on the other loop waits, as far as it knows for 10 seconds
      t.loop:call_later(10, print)
    end)
    other.after(0.01, function()
      t.loop:call_later(0.001, function()
        fired = true
        t.loop:stop()
      end)
    end)
    local start = t.loop:time()
    run(t, other)
    assert.is_true(fired)
    assert.is_true(t.loop:time() - start < 9) -- not what it had waited for
  end))

  it("misses no wake-up by another thread", hosted(function(t, other)
    local pull = t:stream("PULL")
    local address = t:bind(pull, "tcp")
    pull:set_batch(3)
    local got = 0
    pull:on_recv(function()
      got = got + 1
      if got == 500 then t.loop:stop() end
    end)
    local thread = elsewhere.thread(([[
      package.path, package.cpath = %q, %q
      local zmq = require("zmqloop.zmq")
      local ctx = zmq.Context()
      local push = ctx:socket("PUSH", {connect = %q, linger = 5000})
      for i = 1, 500 do
        push:send("x")
        if i %% 7 == 0 then zmq.Poller():poll(0) end
        if i %% 100 == 0 then push:poll(2, zmq.POLLIN) end
      end
      push:close()
      ctx:term()
    ]]):format(package.path, package.cpath, address))
    run(t, other)
    assert.equal(500, got)
    thread:join()
  end))

  it("rests while nothing is to be done", hosted(function(t, other)
    t:streams("REP", "REQ", "tcp")
    t.loop:call_later(0.2, t.loop.stop, t.loop)
    local before = os.clock()
    run(t, other)
    assert.is_true(t.loop:stats().iterations <= 20, t.loop:stats().iterations .. " iterations")
    assert.is_true(os.clock() - before < 0.1)
  end))

  it("hands errors of callbacks to the loop, and goes on", hosted(function(t, other)
    t:expect_errors()
    t.loop:add_callback(error, "first", 0)
    t.loop:call_later(0.001, error, "second", 0)
    t.loop:call_later(0.002, t.loop.stop, t.loop)
    run(t, other)
    assert.same({"first", "second"}, t.errors)
  end))

  it("stays when the loop is run to an end of its own in a callback of the other loop",
    hosted(function(t, other, attached)
      local results = {}
      other.after(0.001, function()
        results[1] = t.loop:run_sync(function()
          zmqloop.sleep(0.001)
          return "done"
        end, 10)
        t.loop:call_later(0.001, t.loop.stop, t.loop)
        results[2] = t.loop:start()
        t.loop:call_later(0.001, t.loop.stop, t.loop)
        results[3] = t.loop:run()
        results[4] = attached.attached
        t.loop:call_later(0.001, t.expect(function() t.loop:stop() end))
      end)
      run(t, other)
      assert.same({"done", true, true, true}, results)
      assert.is_false(attached.attached)
    end))

  it("lets a green socket wait in a callback of the other loop", hosted(function(t, other, attached)
    local ctx = t:keep(require("zmqloop.green").Context(), "destroy")
    local pull = ctx:socket("PULL", {bind = "inproc://green-in-a-host"})
    local push = ctx:socket("PUSH", {connect = "inproc://green-in-a-host"})
    local got
    t.loop:make_current()
    t.loop:call_later(0.005, function() push:send("message", zmqloop.zmq.DONTWAIT) end)
    other.after(0.001, function()
      got = pull:recv()
      zmqloop.IOLoop.clear_current()
      attached:detach()
    end)
    run(t, other)
    assert.equal("message", got)
  end))

  it("ends by stop(), close() and detach(), and the loop can be used on",
    hosted(function(t, other, attached)
      assert.matches("^Attachment %(attached%): IOLoop", tostring(attached))
      t.loop:add_callback(t.loop.stop, t.loop)
      run(t, other)
      assert.matches("^Attachment %(detached%): IOLoop", tostring(attached))
      attached:detach()
      t.loop:call_later(0.001, t.expect(function() t.loop:stop() end))
      t:start()

      local again = assert(other.attach(t.loop))
      t.loop:call_later(0.001, t.expect(function() again:detach() end))
      run(t, other)
      t.loop:call_later(0.001, t.expect(function() t.loop:stop() end))
      t:start()

      assert(other.attach(t.loop))
      other.after(0.001, function() t.loop:close() end)
      run(t, other)
      assert.is_true(t.loop:closed())
    end))

  it("serves several loops", hosted(function(t, other)
    local second = t:keep(zmqloop.IOLoop(helper.loop_options()))
    t:watch(second)
    assert(other.attach(second))
    local order = {}
    local function ping(from, to, count)
      order[#order + 1] = from == second and 2 or 1
      if count == 0 then
        from:stop()
        to:stop()
      else
        to:add_callback(ping, to, from, count - 1)
      end
    end
    t.loop:add_callback(ping, t.loop, second, 9)
    run(t, other)
    assert.same({1, 2, 1, 2, 1, 2, 1, 2, 1, 2}, order)
  end))

  it("survives a loop that is closed as it is served", hosted(function(t, other)
    t.loop:add_callback(function()
      helper.raises("loop is running", t.loop.close, t.loop)
    end)
    run(t, other)
    t.loop:close()
  end))
end

-- On the poll backend a loop has no descriptor to be watched.
local function describe_refusal(new_host)
  it("refuses a loop of the poll backend", test(function(t)
    helper.fails("ENOTSUP", new_host(t).attach(t.loop))
    t.loop:add_callback(t.expect(function() t.loop:stop() end))
    t:start()
  end))
end

local function describe_host(name, new_host, describe_more)
  describe("a loop inside " .. name, function()
    after_each(helper.cleanup)
    if not pcall(require, name) then
      it("is not tested", function()
        pending(("this system has no %s for %s"):format(name, rawget(_G, "jit") and "LuaJIT"
          or _VERSION))
      end)
    elseif helper.backend == "poll" then
      describe_refusal(new_host)
    else
      describe_contract(new_host)
      describe_more()
    end
  end)
end

-- ---- luv ----------------------------------------------------------------------------------

local function new_luv(t)
  local uv = require("luv")
  local handles, failure = {}, nil

  local function keep(handle)
    handles[#handles + 1] = handle
    return handle
  end

  -- An error in a callback of luv would end the process.
  local function guarded(fn)
    return function()
      local ok, err = pcall(fn)
      if not ok then
        failure = failure or {err}
        uv.stop()
      end
    end
  end

  t:keep{close = function()
    for _, handle in ipairs(handles) do
      if not handle:is_closing() then handle:close() end
    end
    uv.run("nowait") -- they end
  end}

  return {
    attach = function(loop) return require("zmqloop.integrate.luv").attach(loop) end,
    after = function(seconds, fn)
      local timer = keep(uv.new_timer())
      timer:start(math.ceil(seconds * 1000), 0, guarded(function()
        timer:close()
        fn()
      end))
    end,
    run = function()
      local dog = keep(uv.new_timer())
      dog:start(WATCHDOG_SECONDS * 1000, 0, guarded(function()
        error("watchdog: nothing ended it", 0)
      end))
      dog:unref()
      uv.run()
      dog:close()
      if failure then error(failure[1], 0) end
    end,
  }
end

describe_host("luv", new_luv, function()
  it("leaves what it raises to luv, which ends the process", test(function(t)
    local output, status = t:run_child(helper.program("raises_inside_luv"))
    assert.matches("Uncaught Error: [^\n]*told to raise", output)
    assert.is_nil(output:find("not reached", 1, true))
    assert.equal(255, status)
  end))

  it("takes the uv it is given, as Neovim's", test(function(t)
    local uv = require("luv")
    local asked = 0
    local attached = require("zmqloop.integrate.luv").attach(t.loop, setmetatable({}, {
      __index = function(_, name)
        asked = asked + 1
        return uv[name]
      end,
    }))
    assert.is_true(asked > 0)
    attached:detach()
    uv.run("nowait")
  end))
end)

-- ---- cqueues ------------------------------------------------------------------------------

local function new_cqueues()
  local cqueues = require("cqueues")
  local cq = cqueues.new()
  return {
    cq = cq,
    attach = function(loop) return require("zmqloop.integrate.cqueues").attach(loop, cq) end,
    after = function(seconds, fn)
      cq:wrap(function()
        cqueues.sleep(seconds)
        fn()
      end)
    end,
    run = function()
      local deadline = cqueues.monotime() + WATCHDOG_SECONDS
      while not cq:empty() do
        assert(cq:step(deadline - cqueues.monotime()))
        if cqueues.monotime() > deadline then error("watchdog: nothing ended it", 0) end
      end
    end,
  }
end

describe_host("cqueues", new_cqueues, function()
  it("raises out of cq:step(), and is served on", test(function(t)
    local host = new_cqueues()
    host.attach(t.loop)
    t.loop:on_error("raise")
    t.loop:add_callback(error, "told to raise", 0)
    t.loop:call_later(0.001, t.expect(function() t.loop:stop() end))
    local errors = {}
    while not host.cq:empty() do
      local ok, err = host.cq:step(1)
      if not ok then errors[#errors + 1] = err end
    end
    assert.same({"told to raise"}, errors)
  end))
end)
