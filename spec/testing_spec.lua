-- zmqloop.testing: what makes a test fail, and what is closed after it. The tests under test run
-- inside those of this file.
local core = require("zmqloop.core")
local helper = require("spec.helper")
local testing = require("zmqloop.testing")
local zmqloop = require("zmqloop")

local async, sleep = testing.async, zmqloop.sleep

-- Lua 5.1 cannot suspend across pcall.
local SUSPENDS_ANYWHERE = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

-- Runs fn() where ASYNC_TEST_TIMEOUT has that value.
local function with_environment(value, fn)
  local getenv = os.getenv
  os.getenv = function(name) -- luacheck: ignore 122
    if name == "ASYNC_TEST_TIMEOUT" then return value end
    return getenv(name)
  end
  local ok, err = pcall(fn)
  os.getenv = getenv -- luacheck: ignore 122
  if not ok then error(err, 0) end
end

-- Runs fn() and returns what it wrote to io.stderr.
local function errors_of(fn)
  local stderr, written = io.stderr, {}
  io.stderr = { -- luacheck: ignore 122
    write = function(_, ...) written[#written + 1] = table.concat{...} end,
  }
  local ok, err = pcall(fn)
  io.stderr = stderr -- luacheck: ignore 122
  if not ok then error(err, 0) end
  return table.concat(written)
end

-- Does the body run in a test of its own, and make it fail with that text?
local function fails(text, body, options)
  return helper.raises(text, async(body, options))
end

describe("a test wrapped by async()", function()
  it("passes without waiting", function()
    local ran = false
    async(function() ran = true end)()
    assert.is_true(ran)
  end)

  it("passes after it has waited", function()
    local ran = false
    async(function()
      sleep(0)
      sleep(0.001)
      ran = true
    end)()
    assert.is_true(ran)
  end)

  it("fails when its time is over, and shows the line where it waits", function()
    local function wait_long() sleep(1) end
    local message = fails("Operation timed out after 0.01 seconds", function()
      wait_long()
    end, {timeout = 0.01})
    assert.matches("testing_spec.lua:%d+: in .*wait_long", message)
    assert.matches("^[^\n]*testing_spec.lua:%d+: ", message)
  end)

  it("passes in its time", function()
    async(function() sleep(0.001) end, {timeout = 10})()
  end)

  it("has its own time before that of the environment", function()
    with_environment("0.01", async(function() sleep(0.02) end, {timeout = 5}))
    with_environment("5", function()
      fails("Operation timed out after 0.01 seconds", function() sleep(1) end, {timeout = 0.01})
    end)
  end)

  it("has the time of the environment, or else 5 seconds", function()
    with_environment("0.01", function()
      fails("Operation timed out after 0.01 seconds", function() sleep(1) end)
      assert.equal(0.01, testing.get_async_test_timeout())
    end)
    with_environment(nil, function() assert.equal(5, testing.get_async_test_timeout()) end)
    with_environment("soon", function()
      helper.raises("ASYNC_TEST_TIMEOUT is no number: 'soon'", testing.get_async_test_timeout)
    end)
  end)

  it("has its arguments passed on after itself", function()
    local got
    async(function(_, ...) got = helper.pack(...) end)(1, nil, "x", nil)
    assert.same({n = 4, 1, nil, "x"}, got)
  end)

  it("runs on a loop of its own, which is the current one, and closed after it", function()
    local loops = {}
    local body = async(function(t)
      loops[#loops + 1] = t.loop
      assert.equal(t.loop, zmqloop.IOLoop.current())
      assert.equal(t.loop, t.io_loop)
    end)
    body()
    body()
    assert.is_true(loops[1] ~= loops[2])
    assert.is_true(loops[1]:closed() and loops[2]:closed())
  end)

  it("fails with the very error of its body", function()
    local err = setmetatable({}, {__tostring = function() return "mine" end})
    local _, got = pcall(async(function()
      sleep(0)
      error(err)
    end))
    assert.equal(err, got)
    assert.matches("testing_spec.lua:%d+: oops", fails("oops", function() error("oops") end))
  end)

  it("can be pending", function()
    local _, err = pcall(async(function() pending("not yet") end))
    assert.equal("pending", debug.getmetatable(err).__type)
    assert.equal("not yet", err.message)
  end)

  it("must not return anything, as a future that nobody awaits", function()
    fails("Return value from test method ignored: 42", function() return 42 end)
    fails("Return value from test method ignored: false", function() return nil, false end)
    fails("Return value from test method ignored: Task (pending)", function()
      return zmqloop.spawn(function() end)
    end)
    async(function() return nil end)()
  end)

  it("fails with an error of a callback, and ends then", function()
    local went_on = false
    local message = fails("in a callback", function(t)
      t.loop:add_callback(error, "in a callback", 0)
      sleep(0.01)
      went_on = true
    end)
    assert.equal("in a callback", message)
    assert.is_false(went_on)
  end)

  it("fails with an error of a callback that comes when it is over", function()
    fails("late", function(t) t.loop:add_callback(error, "late", 0) end)
  end)

  it("fails with the error of a task at which nobody has looked", function()
    fails("nobody looks", function()
      zmqloop.spawn(error, "nobody looks", 0)
      sleep(0)
    end)
    async(function()
      local task = zmqloop.spawn(error, "somebody looks", 0)
      sleep(0)
      assert.equal("somebody looks", task:error())
    end)()
  end)

  it("fails when its loop is stopped", function()
    fails("the loop was stopped before the test was done", function(t)
      t.loop:stop()
      sleep(1)
    end)
  end)

  it("cannot run inside another one", function()
    fails("a test wrapped by async() is running already", function()
      async(function() end)()
    end)
  end)

  it("has a function and options that are known", function()
    helper.raises("bad argument #1 to 'async'", async, 42)
    helper.raises("unknown option 'time'", async, print, {time = 1})
  end)
end)

describe("a test that is not wrapped", function()
  it("fails when it waits", function()
    helper.raises("sleep: only inside a task", sleep, 0)
    helper.raises("wait: only inside a test wrapped by async()", testing.wait)
    helper.raises("stop: only inside a test wrapped by async()", testing.stop)
    helper.raises("expect_log: only inside a test wrapped by async()", testing.expect_log, "x")
  end)
end)

describe("before_each and after_each", function()
  local order, loop = {}, nil
  before_each(function() order[#order + 1] = "outer before" end)
  after_each(function()
    order[#order + 1] = "outer after"
    assert.is_true(loop:closed())
  end)

  describe("of an inner block", function()
    before_each(function() order[#order + 1] = "inner before" end)
    after_each(function() order[#order + 1] = "inner after" end)

    local body = async(function(t)
      loop = t.loop
      sleep(0)
      order[#order + 1] = "test"
    end)
    it("are called around a test", body)
    it("are called around the next test", body)

    it("were called in order, each once", function()
      local once = {"outer before", "inner before", "test", "inner after", "outer after"}
      for i = 1, 10 do assert.equal(once[(i - 1) % 5 + 1], order[i]) end
      assert.equal(12, #order)
    end)
  end)
end)

describe("wait()", function()
  it("returns what stop() is given, nils included", async(function(t)
    t.loop:call_later(0.001, testing.stop, 1, nil, "x", nil)
    assert.same({n = 4, 1, nil, "x"}, helper.pack(t:wait()))
  end))

  it("returns at once when stop() was called before", async(function(t)
    t:stop("early")
    assert.equal("early", testing.wait())
  end))

  it("fails when its time is over, in the line that waits", function()
    async(function(t)
      t.loop:call_later(0.001, testing.stop)
      t:wait()
    end)()
    local message = fails("Async operation timed out after 0.01 seconds", function(t)
      local timer = t.loop:call_later(1, testing.stop)
      t:wait(nil, 0.01)
      timer:cancel()
    end)
    assert.matches("testing_spec.lua:%d+: ", message)
    with_environment("0.01", function()
      fails("Async operation timed out after 0.01 seconds", function(t) t:wait() end,
        {timeout = 5})
    end)
  end)

  it("without limit waits on", function()
    with_environment("0.01", async(function(t)
      t.loop:call_later(0.03, testing.stop)
      t:wait(0)
    end, {timeout = 10}))
  end)

  it("has a time of its own each time", async(function(t)
    t.loop:call_later(1, testing.stop)
    t:wait(2)
    t.loop:call_later(3, testing.stop)
    t:wait(5)
    assert.equal(4, t.loop:time())
  end, {clock = "virtual"}))

  it("goes on until its condition is true", async(function(t)
    local count = 0
    for i = 1, 5 do
      t.loop:call_later(i, function()
        count = count + 1
        t:stop(count)
      end)
    end
    assert.equal(3, t:wait(function() return count == 3 end))
    assert.equal(5, t:wait(function() return count == 5 end, 10))
    helper.raises("bad argument #1 to 'wait'", function() t:wait({}) end)
  end, {clock = "virtual"}))

  it("raises the error of a callback", function()
    fails("in a callback", function(t)
      t.loop:add_callback(error, "in a callback", 0)
      t:wait()
    end)
    if not SUSPENDS_ANYWHERE then return end
    async(function(t)
      t.loop:add_callback(error, "caught", 0)
      local ok, err = pcall(t.wait, t)
      assert.is_false(ok)
      assert.equal("caught", err)
    end)()
  end)

  it("raises the first of several errors, and the others are written", function()
    local written = errors_of(function()
      assert.equal("first", fails("first", function(t)
        t.loop:add_callback(error, "first", 0)
        t.loop:add_callback(error, "second", 0)
        t:wait()
      end))
    end)
    assert.matches("^multiple unhandled exceptions in test: .*second", written)
    assert.is_nil(written:find("first", 1, true))
  end)
end)

describe("wait_until()", function()
  it("returns when its condition is true, asked as time goes on", async(function(t)
    local done = false
    t.loop:call_later(0.02, function() done = true end)
    t:wait_until(function() return done end)
    assert.equal(0.02, math.floor(t.loop:time() * 100 + 0.5) / 100)
    t:wait_until(function() return done end, 0)
  end, {clock = "virtual"}))

  it("fails when its time is over, in the line that waits", function()
    local message = fails("Async operation timed out after 0.03 seconds", function(t)
      t:wait_until(function() return false end, 0.03)
    end, {clock = "virtual"})
    assert.matches("testing_spec.lua:%d+: ", message)
    fails("bad argument #1 to 'wait_until'", function(t) t:wait_until(3) end)
  end)
end)

describe("what a test leaves open makes it fail:", function()
  it("a handler, whose object is closed", function()
    local closed = false
    fails("left open: handler", function(t)
      local listener = assert(testing.bind_unused_port())
      t.loop:add_handler({
        fileno = function() return listener:fileno() end,
        close = function() closed = true end,
      }, function() end, "r")
    end)
    assert.is_true(closed)
  end)

  it("a stream that receives", function()
    fails("left open: ZMQStream", function(t)
      local stream = zmqloop.ZMQStream(t.ctx:socket("PULL"), t.loop)
      stream:on_recv(print)
    end)
  end)

  it("but not a monitor whose socket was closed: libzmq ends it in its own thread", function()
    for _ = 1, 50 do
      async(function(t)
        local pull = t:socket("PULL", {bind = "tcp://127.0.0.1:*"})
        pull:monitor(function() end, "all", t.loop)
        t:socket("PUSH", {connect = pull:get("last_endpoint")})
      end)()
    end
  end)

  it("a timeout", function()
    fails("left open: timeout of spec/testing_spec.lua", function(t)
      t.loop:call_later(3600, function() end)
    end)
  end)

  it("a periodic callback that runs", function()
    fails("left open: timeout", function() zmqloop.PeriodicCallback(print, 1000000):start() end)
  end)

  it("a signal handler", function()
    fails("left open: signal handler USR2", function(t)
      t.loop:add_signal_handler("USR2", print)
    end)
  end)

  it("a task", function()
    fails("left open: Task (pending) of spec/testing_spec.lua", function()
      zmqloop.spawn(function() zmqloop.Event():wait() end)
    end)
  end)

  it("a callback that waits", function()
    fails("left open: Task (pending) of spec/testing_spec.lua", function(t)
      t.loop:add_callback(function() zmqloop.Event():wait() end)
    end)
  end)

  it("a socket of the global context", function()
    local left
    fails("left open: zmq.Socket (PULL", function()
      left = zmqloop.zmq.Context.instance():socket("PULL")
    end)
    left:close()
  end)

  it("a descriptor", function()
    if next(core.open_descriptors()) == nil then pending("only Linux tells") end
    local left
    fails("left open: descriptor", function() left = io.open("README.md") end)
    left:close()
    fails(", a socket", function()
      left = testing.bind_unused_port():release()
    end)
    core.close_fd(left)
  end)

  it("not what has been closed or cancelled at its end, or was kept", async(function(t)
    local push, pull = t:stream("PUSH"), t:stream("PULL", {bind = "inproc://kept"})
    push:connect("inproc://kept")
    pull:on_recv(testing.stop)
    push:send("x")
    assert.same({"x"}, t:wait())
    zmqloop.spawn(function() zmqloop.Event():wait() end):cancel()
    t.loop:call_later(1, print):cancel()
    local order = {}
    for i, method in ipairs{"close", "stop"} do
      t:keep({[method] = function() order[#order + 1] = i end}, i == 2 and "stop" or nil)
    end
    t:close_kept()
    assert.same({2, 1}, order)
  end))

  it("not the connections of a socket that was closed", async(function()
    local ctx = zmqloop.zmq.Context.instance()
    local rep, req = ctx:socket("REP"), ctx:socket("REQ")
    local port = rep:bind_to_random_port("tcp://127.0.0.1")
    req:connect("tcp://127.0.0.1:" .. port)
    req:send("x")
    assert.equal("x", rep:recv())
    rep:close()
    req:close()
  end))

  it("not if it says so: then it is closed, and tasks end without noise", function()
    local loop, task
    local written = errors_of(async(function(t)
      loop = t.loop
      task = zmqloop.spawn(function() zmqloop.Event():wait() end)
      t.loop:call_later(3600, print)
    end, {left_open = "close"}))
    assert.equal("", written)
    assert.is_true(task:cancelled())
    assert.is_true(loop:closed())
  end)

  it("after its own error, which is told first", function()
    assert.equal("mine", fails("mine", function(t)
      t.loop:call_later(3600, print)
      error("mine", 0)
    end))
  end)
end)

describe("an error of a task that nobody looks at", function()
  it("is raised by wait(), long before its time is over", function()
    local virtual_seconds
    fails("boom", function(t)
      local began = t.loop:time()
      zmqloop.spawn(function() error("boom", 0) end)
      local ok, err = zmqloop.pcall(t.wait, t, 3600)
      virtual_seconds = t.loop:time() - began
      error(err, ok and 0 or 0)
    end, {clock = "virtual"})
    assert.equal(0, virtual_seconds)
  end)

  it("is heard of by expect_log() with a function", async(function(t)
    t:expect_log("boom", function()
      zmqloop.spawn(function() error("boom", 0) end)
      sleep(0.01)
    end)
  end, {clock = "virtual"}))

  it("of a future too", async(function(t)
    t:expect_log("boom", function()
      zmqloop.Future(t.loop):set_error("boom")
      sleep(0.01)
    end)
  end, {clock = "virtual"}))

  it("is not told while somebody may look, and is when nobody has", function()
    async(function()
      local held = zmqloop.spawn(function() error("boom", 0) end)
      sleep(1)
      collectgarbage()
      sleep(1)
      assert.equal("boom", held:error())
    end, {clock = "virtual"})()
    local kept
    fails("boom", function()
      kept = zmqloop.spawn(function() error("boom", 0) end)
      sleep(1)
    end, {clock = "virtual"})
    assert.is_true(kept:done())
  end)
end)

describe("expect_log()", function()
  it("lets errors of callbacks pass that have a match", async(function(t)
    local expected = t:expect_log("exp%wcted")
    assert.is_false(expected.matched)
    t.loop:add_callback(error, "an expected error", 0)
    sleep(0)
    assert.is_true(expected.matched)
    assert.equal(1, expected.count)
  end))

  it("matches what is written by default", async(function(t)
    testing.expect_log("^Exception in callback of C:\nboom")
    t.loop:add_callback(error, "boom", 0)
    sleep(0)
  end))

  it("fails when there was none until the end, unless it is content with none", function()
    local message = fails("did not get an expected log message: 'boom'", function(t)
      t:expect_log("boom")
    end)
    assert.matches("testing_spec.lua:%d+: ", message)
    async(function(t) t:expect_log("boom", {required = false}) end)()
  end)

  it("leaves other errors alone", function()
    fails("bang", function(t)
      t:expect_log("boom", {required = false})
      t.loop:add_callback(error, "bang", 0)
      sleep(1)
    end)
  end)

  it("with a function holds while that runs", function()
    fails("boom 2", function(t)
      local got = helper.pack(t:expect_log("boom", function()
        t.loop:add_callback(error, "boom 1", 0)
        sleep(0)
        return 1, nil
      end))
      assert.same({n = 2, 1}, got)
      t.loop:add_callback(error, "boom 2", 0)
      sleep(1)
    end)
    fails("did not get an expected log message: 'boom'", function(t)
      t:expect_log("boom", function() sleep(0) end)
    end)
  end)

  it("matches the error of a task at which nobody looks", async(function(t)
    t:expect_log("nobody looks")
    zmqloop.spawn(error, "nobody looks", 0)
    sleep(0)
  end))

  it("wants a pattern and options that are known", async(function(t)
    helper.raises("bad argument #1 to 'expect_log'", t.expect_log, t, 1)
    helper.raises("unknown option 'level'", t.expect_log, t, "x", {level = 1})
  end))
end)

describe("get_new_ioloop()", function()
  it("makes the loop, and gets options for it", function()
    local made, got
    local function hook(options)
      got = options
      made = zmqloop.IOLoop(options)
      return made
    end
    local body = async(function(t) assert.equal(made, t.loop) end,
      {clock = "virtual", get_new_ioloop = hook})
    body()
    assert.equal("virtual", got.clock)
    local original = testing.get_new_ioloop
    testing.get_new_ioloop = hook
    local ok, err = pcall(async(function(t) assert.equal(made, t.loop) end))
    testing.get_new_ioloop = original
    assert.is_true(ok, err)
  end)

  it("may give the global loop, which is left as it was", function()
    local loop = zmqloop.IOLoop.instance()
    local spawn = loop.spawn
    local timer = loop:call_later(3600, print)
    async(function(t)
      assert.equal(loop, t.loop)
      sleep(0)
    end, {get_new_ioloop = zmqloop.IOLoop.instance})()
    assert.is_false(loop:closed())
    assert.equal(spawn, loop.spawn)
    assert.is_true(timer:active())
    timer:cancel()
    loop:close()
  end)
end)

describe("a virtual clock", function()
  it("passes while the test sleeps", async(function(t)
    local calls = 0
    local periodic = zmqloop.PeriodicCallback(function() calls = calls + 1 end, 1000)
    periodic:start()
    sleep(3600.5)
    periodic:stop()
    assert.equal(3600, calls)
    assert.equal(3600.5, t.loop:time())
  end, {clock = "virtual"}))

  it("can be advanced by loops of one's own", function()
    local loop, fired = zmqloop.IOLoop{clock = "virtual"}, false
    loop:call_later(10, function() fired = true end)
    loop:advance(9)
    assert.is_false(fired)
    loop:advance(1)
    assert.is_true(fired)
    loop:close()
  end)

  it("fails a test that waits for nothing at once, and shows where", function()
    local message = fails("Operation waits for nothing that will come", function()
      zmqloop.Event():wait()
    end, {clock = "virtual"})
    assert.matches("testing_spec.lua:%d+: in ", message)
  end)

  it("is what a timeout counts by", function()
    fails("Operation timed out after 3600 seconds", function() sleep(3601) end,
      {clock = "virtual", timeout = 3600})
  end)
end)

describe("bind_unused_port()", function()
  it("gives a socket that listens on a port of its own", async(function(t)
    local first, port = testing.bind_unused_port()
    local second, other = testing.bind_unused_port(false, "127.0.0.1")
    assert.is_true(port ~= other and port > 0 and other > 0)
    assert.matches("^Listener %(descriptor %d+, port " .. port, tostring(first))
    assert.is_true(first:fileno() ~= second:fileno())
    t.loop:add_handler(first, function(object, events)
      t.loop:remove_handler(object)
      t:stop(object, events)
    end, "r")
    t:socket("REQ", {connect = "tcp://127.0.0.1:" .. port})
    local object, events = t:wait()
    assert.equal(first, object)
    assert.equal(zmqloop.IOLoop.READ, events)
  end))

  it("gives a socket that libzmq can go on with", async(function(t)
    local listener, port = testing.bind_unused_port()
    local address = "tcp://127.0.0.1:" .. port
    local rep = t:stream("REP", {use_fd = listener:release(), bind = address})
    rep:on_recv(function(frames) rep:send(frames[1]:upper()) end)
    local req = t:stream("REQ", {connect = address})
    req:on_recv(testing.stop)
    req:send("hello")
    assert.same({"HELLO"}, t:wait())
  end))

  it("tells why it could not, and closes twice silently", function()
    helper.fails("EINVAL", testing.bind_unused_port(false, "nowhere"))
    helper.fails("EADDRNOTAVAIL", testing.bind_unused_port(false, "192.0.2.1"))
    local listener = testing.bind_unused_port(true)
    listener:close()
    listener:close()
    assert.is_nil(listener:fileno())
    assert.equal("Listener (closed)", tostring(listener))
  end)
end)

describe("a class derived from Test", function()
  it("gives the test methods of its own", function()
    local Mine = setmetatable({}, {__index = testing.Test})
    function Mine:initialize() self.answer = 42 end
    function Mine:ask() return self.answer, self.loop end
    async(function(t)
      local answer, loop = t:ask()
      assert.equal(42, answer)
      assert.equal(zmqloop.IOLoop.current(), loop)
    end, {class = Mine})()
  end)
end)
