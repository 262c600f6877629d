-- Faults around a program: signals, contexts and peers that die, the end of the program itself,
-- forks, descriptors and memory that run out, very many timers.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")
local test = helper.test

local HANG = 137 -- the time limit had to kill it

local function noop() end

-- True when os.exit(code, true) closes the state: not in 5.1.
local CLOSES = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local function has_module(name)
  return (pcall(require, name))
end

describe("a storm of signals", function()
  after_each(helper.cleanup)

  it("loses no message, no order, no timer", test(function(t)
    if not has_module("sigstorm") then pending("needs the module sigstorm of the build") end
    local output, status = t:run_child([[
      local sigstorm = require("sigstorm")
      local zmq = zmqloop.zmq
      local loop, ctx = new_loop(), zmq.Context()
      local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
      local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
      local req = zmqloop.ZMQStream(ctx:socket("REQ"), loop)
      local rep = zmqloop.ZMQStream(ctx:socket("REP"), loop)
      local port = pull:bind_to_random_port("tcp://127.0.0.1")
      push:connect(("tcp://127.0.0.1:%d"):format(port))
      port = rep:bind_to_random_port("tcp://127.0.0.1")
      req:connect(("tcp://127.0.0.1:%d"):format(port))
      local MESSAGES, ROUNDS = 20000, 500
      local received, answered, ticks, early = 0, 0, 0, 0
      local function check() if received == MESSAGES and answered == ROUNDS then loop:stop() end end
      pull:on_recv(function(frames)
        received = received + 1
        assert(frames[1] == tostring(received) and frames[2] == "" and #frames == 3, "order")
        check()
      end)
      rep:on_recv(function(frames) assert(rep:send_multipart(frames)) end)
      req:on_recv(function()
        answered = answered + 1
        if answered < ROUNDS then assert(req:send("again")) end
        check()
      end)
      loop:on_error("raise")
      local function tick(due)
        ticks = ticks + 1
        if loop:time() < due then early = early + 1 end
        loop:call_later(0.002, tick, loop:time() + 0.002)
      end
      tick(0)
      local dog = loop:call_later(15, error, "watchdog")
      sigstorm.start(100)
      local next_message = 0
      local function feed()
        for _ = 1, 100 do
          next_message = next_message + 1
          assert(push:send_multipart{tostring(next_message), "", "payload"})
        end
        if next_message < MESSAGES then loop:add_callback(feed) end
      end
      feed()
      assert(req:send("first"))
      loop:start()
      dog:cancel()
      local signals = sigstorm.stop()
      assert(signals > 50, signals)
      assert(early == 0, "early timers")
      assert(ticks > 1)
      print("ok")
    ]])
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))

  it("does not start the time of a blocking call anew", test(function(t)
    if not has_module("sigstorm") then pending("needs the module sigstorm of the build") end
    local output, status = t:run_child([[
      local sigstorm = require("sigstorm")
      local zmq = zmqloop.zmq
      local ctx = zmq.Context()
      local a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
      a:bind("inproc://x")
      b:connect("inproc://x")
      local push = ctx:socket("PUSH", {sndtimeo = 20})
      b:set("rcvtimeo", 20)
      sigstorm.start(1000)
      local function times_out(result, _, name)
        assert(result == nil and name == "EAGAIN", name)
      end
      times_out(b:recv())
      times_out(b:recv_multipart())
      times_out(push:send("x"))
      times_out(push:send_multipart{"x", "y"})
      assert(b:poll(20) == 0)
      a:send("y")
      assert(b:poll(1000) == zmq.POLLIN)
      assert(b:recv() == "y")
      assert(sigstorm.stop() > 10)
      print("ok")
    ]])
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))

  it("of stops and continues ends nothing and loses nothing", test(function(t)
    local child = t:child([[
      local loop, ctx = new_loop(), zmqloop.zmq.Context()
      local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
      pull:bind(...)
      local count = 0
      pull:on_recv(function(frames)
        count = count + 1
        assert(frames[1] == tostring(count))
        if count == 200 then loop:stop() end
      end)
      loop:on_error("raise")
      print("ready")
      loop:start()
      print("ok")
    ]], {t:address("ipc")})
    assert.equal("ready", child:line())
    local endpoint = "ipc://" .. t.files[1]
    local push = t:stream("PUSH")
    push:connect(endpoint)
    for i = 1, 200 do
      push:send(tostring(i))
      if i % 20 == 0 then
        child:kill("STOP")
        t.loop:step(0.002)
        child:kill("CONT")
      end
    end
    t:run_until(function() return push:queued() == 0 end)
    assert.equal("ok\n", (child:finish()))
  end))
end)

describe("a context that ends while the loop runs", function()
  after_each(helper.cleanup)

  local ways = {
    shutdown = function(ctx) ctx:shutdown() end,
    term = function(ctx)
      local result, _, name = ctx:term()
      assert.is_nil(result)
      assert.equal("EBUSY", name)
    end,
  }

  for name, finish in pairs(ways) do
    it("by " .. name .. "() ends start() quietly; the loop can be used again", test(function(t)
      local ctx = zmq.Context()
      local pull, push = ctx:socket("PULL"), ctx:socket("PUSH", {linger = 0})
      local receiver = zmqloop.ZMQStream(pull, t.loop)
      local sender = zmqloop.ZMQStream(push, t.loop)
      receiver:on_recv(noop)
      sender:send("queued: nobody is there")
      t.loop:call_later(0.002, t.expect(function() finish(ctx) end))
      assert.is_true(t:start())

      local ok, result, _, code = pcall(sender.send, sender, "x")
      assert.is_true(not ok and tostring(result):find("closed") ~= nil or code == "ETERM")
      receiver:close()
      sender:close()
      pull:close()
      push:close()
      assert.is_true(ctx:term())

      local other_pull, other_push = t:streams("PULL", "PUSH")
      other_pull:on_recv(t.expect(function() t.loop:stop() end))
      other_push:send("x")
      t:start()
    end))
  end

  it("by destroy() closes its streams", test(function(t)
    local ctx = zmq.Context()
    local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    stream:on_recv(noop)
    stream:set_close_callback(t.expect(noop))
    t.loop:call_later(0.002, t.expect(function() ctx:destroy(0) end))
    t:run_until(function() return stream:closed() end)
    assert.is_true(ctx:closed())
    t:settle()
    assert.is_true(t.loop:run())
  end))

  it("by destroy() inside a callback of one of its streams, with more queued", test(function(t)
    local ctx = zmq.Context()
    local address = t:address()
    local pull = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    local push = zmqloop.ZMQStream(ctx:socket("PUSH"), t.loop)
    pull:bind(address)
    push:connect(address)
    pull:on_recv(t.expect(function() ctx:destroy(0) end))
    for _ = 1, 10 do push:send("x") end
    t:run_until(function() return pull:closed() and push:closed() end)
    t:settle()
  end))

  it("by shutdown() inside a callback, with handlers on its sockets", test(function(t)
    local ctx = zmq.Context()
    local a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
    a:bind("inproc://handlers")
    b:connect("inproc://handlers")
    local calls = 0
    t.loop:add_handler(a, function()
      calls = calls + 1
      if calls == 1 then ctx:shutdown() end
      if calls > 3 then error("it is called again and again") end
    end, zmqloop.IOLoop.READ)
    b:send("x")
    assert.is_true(t:start())
    assert.is_true(calls >= 1)
    t.loop:remove_handler(a)
    ctx:destroy(0)
  end))

  it("before the loop starts ends start() as well", test(function(t)
    local ctx = zmq.Context()
    local stream = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    stream:on_recv(noop)
    ctx:shutdown()
    assert.is_true(t:start())
    stream:close()
    ctx:term()
  end))

  it("wakes no other stream and leaves other contexts alone", test(function(t)
    local ctx = zmq.Context()
    local doomed = zmqloop.ZMQStream(ctx:socket("PULL"), t.loop)
    doomed:on_recv(noop)
    local pull, push = t:streams("PULL", "PUSH")
    local seen = 0
    pull:on_recv(function() seen = seen + 1 end)
    ctx:shutdown()
    push:send("1")
    t:run_until(function() return seen == 1 end)
    ctx:destroy(0)
    push:send("2")
    t:run_until(function() return seen == 2 end)
  end))
end)

describe("a peer process", function()
  after_each(helper.cleanup)

  local ECHO = [[
    local name, endpoint = ...
    local loop = new_loop()
    local stream = zmqloop.ZMQStream(zmqloop.zmq.Context():socket("ROUTER"), loop)
    assert(stream:bind(endpoint))
    stream:on_recv(function(frames)
      frames[#frames + 1] = name
      stream:send_multipart(frames)
    end)
    print((stream:get("last_endpoint")))
    loop:start()
  ]]

  it("killed and started again is heard again, in order, nothing twice", test(function(t)
    local first = t:child(ECHO, {"first", "tcp://127.0.0.1:*"})
    local endpoint = first:line()
    local stream = t:stream("DEALER", {reconnect_ivl = 10})
    stream:connect(endpoint)
    local last, heard, sent = 0, {}, 0
    stream:on_recv(function(frames)
      local number = tonumber(frames[1])
      assert(number > last, "out of order or twice")
      last = number
      heard[frames[2]] = true
    end)
    local sender = zmqloop.PeriodicCallback(function()
      sent = sent + 1
      assert.is_true(stream:send(tostring(sent)))
    end, 2, t.loop)
    sender:start()
    t:run_until(function() return heard.first end)
    first:kill("KILL")
    first:finish()
    local second = t:child(ECHO, {"second", endpoint})
    assert.equal(endpoint, second:line())
    t:run_until(function() return heard.second end)
    sender:stop()
  end))

  it("that is gone for good holds up nobody", test(function(t)
    local peer = t:child(ECHO, {"peer", "tcp://127.0.0.1:*"})
    local stream = t:stream("DEALER", {sndhwm = 10})
    stream:connect((peer:line()))
    local heard = false
    stream:on_recv(function() heard = true end)
    stream:send("1")
    t:run_until(function() return heard end)
    peer:kill("KILL")
    peer:finish()
    for i = 1, 2000 do assert.is_true(stream:send(tostring(i))) end
    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(t.expect(function() t.loop:stop() end))
    push:send("x")
    t:start()
    assert.is_true(stream:queued() > 0)
    assert.is_true(stream:close() > 0)
  end))
end)

describe("the end of a program", function()
  after_each(helper.cleanup)

  -- How a program may end, and its exit status then.
  local endings = {
    {name = "the end of the file", code = "", status = 0, closes = true},
    {name = "error()", code = "error('the end')", status = 1, closes = true},
    {name = "os.exit(0)", code = "os.exit(0)", status = 0},
    {name = "os.exit(3, true)", code = "os.exit(3, true)", status = 3, closes = CLOSES},
    {name = "os.exit(0) inside a callback", status = 0,
     code = "loop:add_callback(function() os.exit(0) end) loop:start()"},
    {name = "os.exit(3, true) inside a callback", status = 3, closes = CLOSES,
     code = "loop:add_callback(function() os.exit(3, true) end) loop:start()"},
    {name = "os.exit(3, true) inside on_recv", status = 3, closes = CLOSES, code = [[
      local a = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
      local b = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
      a:bind("inproc://exit")
      b:connect("inproc://exit")
      a:send("1")
      a:send("2")
      b:on_recv(function() os.exit(3, true) end)
      loop:start()
    ]]},
    {name = "an error in a callback that start() raises", status = 1, closes = true, code = [[
      loop:on_error("raise")
      loop:call_later(0, error, "the end")
      loop:start()
    ]]},
    {name = "an error inside a coroutine that runs the loop", status = 1, closes = true, code = [[
      loop:on_error("raise")
      loop:call_later(0, error, "the end")
      coroutine.wrap(function() loop:start() end)()
    ]]},
    {name = "Ctrl-C", status = 1, closes = true, interrupt = true, code = [[
      loop:call_later(0, print, "ready")
      loop:start()
    ]]},
  }

  -- The user asked for lingering for ever here; it ends all the same.
  local UNSENT = [[
    local loop = new_loop()
    local ctx = zmqloop.zmq.Context()
    local streams = {}
    for i = 1, 30 do
      streams[i] = zmqloop.ZMQStream(ctx:socket("PUSH", {linger = i % 2 == 0 and -1 or nil}), loop)
      streams[i]:connect("tcp://127.0.0.1:1")
      streams[i]:send("nobody will ever take this")
    end
    streams[1]:on_recv(function() end)
    loop:call_later(3600, function() print("a callback ran") end)
    loop:add_callback(function() end)
  ]]

  -- A peer is there, and it gets what was sent before the end.
  local LAST_WORDS = [[
    local loop = new_loop()
    local ctx = zmqloop.zmq.Context()
    local socket = ctx:socket("PUSH", {immediate = true})
    assert(socket:connect((...)))
    assert(socket:send("first"))
    local stream = zmqloop.ZMQStream(socket, loop)
    stream:on_recv(function() end)
    for i = 1, 100 do assert(stream:send("word " .. i)) end
  ]]

  local function run(t, ending, source, args)
    local child = t:child(source .. " " .. ending.code, args)
    local lines = {}
    if ending.interrupt then
      repeat
        lines[1] = child:line()
      until not lines[1]:find("^zmqloop: .*on_recv") -- of a PUSH
      assert.equal("ready", lines[1])
      child:wait_asleep()
      child:kill("INT")
    end
    local output, status = child:finish()
    assert.not_equal(HANG, status, "it hangs: " .. output)
    assert.equal(ending.status, status, output)
    assert.is_nil(output:find("a callback ran", 1, true))
    if ending.interrupt then assert.matches("interrupted!", output, 1, true) end
  end

  for _, ending in ipairs(endings) do
    it("by " .. ending.name .. " does not hang on unsent messages", test(function(t)
      run(t, ending, UNSENT)
    end))

    it("by " .. ending.name .. " with a peer connected", test(function(t)
      local pull = t:socket("PULL", {rcvtimeo = 5000})
      run(t, ending, LAST_WORDS, {t:bind(pull, "tcp")})
      if ending.closes then
        assert.equal("first", pull:recv())
        for i = 1, 100 do assert.equal("word " .. i, pull:recv()) end
      end
    end))
  end

  it("with the instance of context and loop, never closed", test(function(t)
    local pull = t:socket("PULL", {rcvtimeo = 5000})
    local output, status = t:run_child([[
      local loop = zmqloop.IOLoop.instance()
      local stream = zmqloop.ZMQStream(zmqloop.zmq.Context.instance():socket("PUSH"))
      assert(stream:connect((...)))
      stream:send("hello")
      loop:call_later(0.001, loop.stop, loop)
      loop:start()
    ]], {t:bind(pull, "tcp")})
    assert.equal("", output)
    assert.equal(0, status)
    assert.equal("hello", pull:recv())
  end))

  it("right after a linger that was chosen to be 0 drops, and ends", test(function(t)
    local output, status = t:run_child([[
      local ctx = zmqloop.zmq.Context()
      local socket = ctx:socket("PUSH", {linger = 0})
      socket:connect("tcp://127.0.0.1:1")
      socket:send("x")
    ]])
    assert.equal("", output)
    assert.equal(0, status)
  end))

  it("in lua_close runs no callback and frees live handles in any order", test(function(t)
    if not CLOSES then return end
    for variant = 1, 4 do
      local output, status = t:run_child([[
        local variant = tonumber((...))
        local READ = zmqloop.IOLoop.READ
        local loop, ctx = new_loop(), zmqloop.zmq.Context()
        local function shout(...) print("called", ...) end
        local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
        local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
        pull:bind("inproc://live")
        push:connect("inproc://live")
        pull:on_recv(shout)
        pull:set_close_callback(shout)
        push:on_send(shout)
        push:set_close_callback(shout)
        for _ = 1, 10 do push:send("x") end
        local pair = ctx:socket("PAIR")
        loop:add_handler(pair, shout, READ)
        loop:add_handler(io.popen("true"), shout, READ)
        loop:call_later(0, shout)
        loop:add_callback(shout)
        local periodic = zmqloop.PeriodicCallback(shout, 1, loop)
        periodic:start()
        if variant == 1 then
          keep_loop, keep_pull, keep_ctx = loop, pull, ctx
        elseif variant == 2 then
          loop:close()
        elseif variant == 3 then
          -- finalizers that use what may be gone already
          for _, object in ipairs{loop, pull, push, ctx, pair, periodic} do
            local proxy = setmetatable({}, {__gc = function()
              pcall(function() object:close() end)
              pcall(function() object:stop() end)
              pcall(function() object:send("late") end)
              pcall(function() object:add_callback(shout) end)
              pcall(function() object:socket("PULL") end)
              pcall(function() object:get("events") end)
              tostring(object)
            end})
            package.loaded[proxy] = proxy
          end
        else
          ctx:shutdown()
        end
        os.exit(0, true)
      ]], {variant})
      assert.equal(0, status, output)
      if variant ~= 3 then
        local never_started = "^zmqloop: an IOLoop was never started, [^\n]*\n$"
        assert.equal("", (output:gsub(never_started, "")), "variant " .. variant)
      end
    end
  end))
end)

describe("Ctrl-C", function()
  after_each(helper.cleanup)

  local programs = {
    ["an idle loop"] = [[
      local loop = new_loop()
      loop:call_later(3600, function() end)
      loop:call_later(0, print, "ready")
      loop:start()
    ]],
    ["a loop that only waits for messages"] = [[
      local loop, ctx = new_loop(), zmqloop.zmq.Context()
      local stream = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
      stream:bind("tcp://127.0.0.1:*")
      stream:on_recv(function() end)
      print("ready")
      loop:start()
    ]],
    ["a loop busy in callbacks"] = [[
      local loop = new_loop()
      local function again() loop:add_callback(again) end
      again()
      loop:call_later(0, print, "ready")
      loop:start()
    ]],
    ["a loop busy in a callback, when that returns"] = [[
      local loop = new_loop()
      local function work()
        print("ready")
        local over = os.clock() + 0.2
        while os.clock() < over do end
        loop:add_callback(work)
      end
      loop:add_callback(work)
      loop:start()
    ]],
    ["a loop busy receiving"] = [[
      local loop, ctx = new_loop(), zmqloop.zmq.Context()
      local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
      local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
      pull:bind("inproc://x")
      push:connect("inproc://x")
      pull:on_recv(function(frames) push:send_multipart(frames) end)
      push:send("x")
      loop:call_later(0.01, print, "ready")
      loop:start()
    ]],
    ["a loop that hides errors"] = [[
      local loop = new_loop()
      loop:on_error(function() end)
      loop:call_later(0, print, "ready")
      loop:call_later(3600, function() end)
      loop:start()
    ]],
    ["run()"] = [[
      local loop = new_loop()
      loop:call_later(0, print, "ready")
      loop:call_later(3600, function() end)
      loop:run()
    ]],
    ["a long step()"] = [[
      local loop = new_loop()
      print("ready")
      while true do loop:step(3600) end
    ]],
    ["a blocking recv"] = [[
      local socket = zmqloop.zmq.Context():socket("PULL")
      socket:bind("tcp://127.0.0.1:*")
      print("ready")
      socket:recv()
    ]],
    ["a blocking recv_multipart"] = [[
      local socket = zmqloop.zmq.Context():socket("PULL")
      socket:bind("tcp://127.0.0.1:*")
      print("ready")
      socket:recv_multipart()
    ]],
    ["a blocking send"] = [[
      local socket = zmqloop.zmq.Context():socket("PUSH")
      print("ready")
      socket:send("x")
    ]],
    ["a blocking poll"] = [[
      local socket = zmqloop.zmq.Context():socket("PULL")
      print("ready")
      socket:poll(-1)
    ]],
  }

  for name, source in pairs(programs) do
    it("ends " .. name .. " with `interrupted!`", test(function(t)
      -- The interpreters' handler of the signal only sets a hook. A signal that
      -- comes after the last Lua code and before the system call interrupts
      -- nothing; a second try does not hit that moment again.
      local output, status
      for _ = 1, 3 do
        local child = t:child(source, nil, 20)
        assert.equal("ready", child:line())
        if not name:find("busy") then child:wait_asleep() end
        child:kill("INT")
        output, status = child:finish()
        if status ~= HANG then break end
      end
      assert.not_equal(HANG, status, output)
      assert.equal(1, status, output)
      assert.matches("interrupted!", output, 1, true)
    end))
  end

  -- A hook is one coroutine's, and callbacks have their own; compiled code looks at none.
  it("ends a callback that never returns the second time", test(function(t)
    local child = t:child([[
      local loop = new_loop()
      loop:add_callback(function() print("ready") while true do end end)
      loop:start()
    ]], nil, 10)
    assert.equal("ready", child:line())
    for _ = 1, 20 do child:kill("INT") end -- two that come at once are one
    local _, status = child:finish()
    local first_time = rawget(_G, "jit") and status == 1 -- before it was compiled
    assert.is_true(first_time or status == 128 + 2)
  end))

  it("leaves a loop that can go on, when the program catches it", test(function(t)
    local child = t:child([[
      local loop = new_loop()
      loop:call_later(0, print, "ready")
      loop:call_later(3600, function() end)
      local ok, err = pcall(loop.start, loop)
      assert(not ok and tostring(err):find("interrupted!"), err)
      assert(not loop:running())
      loop:add_callback(loop.stop, loop)
      assert(loop:start())
      print("went on")
    ]])
    assert.equal("ready", child:line())
    child:wait_asleep()
    child:kill("INT")
    assert.matches("went on\n$", (child:finish()))
  end))
end)

describe("a forked process", function()
  after_each(helper.cleanup)

  -- A loop with one of each. `in_child` runs in the child and says what is
  -- wrong; afterwards all has to work in the parent.
  local PARENT = [[
    local process = require("process")
    local path = os.tmpname()
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local reader, writer = assert(io.open(path, "r+")), assert(io.open(path, "r+"))
    os.remove(path)
    reader:setvbuf("no")
    writer:setvbuf("no")
    local loop, ctx = new_loop(), zmqloop.zmq.Context()
    loop:on_error("raise")
    local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
    local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
    local handled, spare = ctx:socket("PAIR"), ctx:socket("PAIR")
    pull:bind("tcp://127.0.0.1:*")
    push:connect((pull:get("last_endpoint")))
    local received, bytes, fired = 0, 0, 0
    pull:on_recv(function() received = received + 1 end)
    loop:add_handler(reader, function() bytes = bytes + #reader:read(1) end, "r")
    loop:add_handler(handled, function() error("nothing happens to it") end, "r")
    local function all_work()
      received, bytes, fired = 0, 0, 0
      push:send("x")
      writer:write("x")
      loop:call_later(0.001, function() fired = fired + 1 end)
      local deadline = loop:time() + 10
      while received + bytes + fired < 3 and loop:time() < deadline do loop:step(0.01) end
      return received == 1 and bytes == 1 and fired == 1
    end
    assert(all_work(), "before the fork")

    local function raises_echild(name, ...)
      local ok, err = pcall(loop[name], loop, ...)
      assert(not ok and tostring(err):find("ECHILD", 1, true), name .. ": " .. tostring(err))
    end
    local function answers_echild(name, ...)
      local result, _, code = loop[name](loop, ...)
      assert(result == nil and code == "ECHILD", name .. ": " .. tostring(code))
    end
    local function in_child()
      raises_echild("start")
      raises_echild("run")
      raises_echild("step", 0)
      answers_echild("update_handler", reader, 0)
      answers_echild("update_handler", handled, 0)
      answers_echild("add_handler", spare, print, "r")
      answers_echild("add_handler", 0, print, "r")
      loop:remove_handler(reader)
      loop:stop()
      loop:close()
      assert(loop:closed())
      pull:close()
      push:close()
    end
  ]]

  local function check(t, source)
    if not has_module("process") then pending("needs the module process of the build") end
    local output, status = t:run_child(PARENT .. source)
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end

  it("cannot use its parent's loop, and can close it without harm to that", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        local ok, err = pcall(in_child)
        if not ok then print(err) end
        process.leave(ok and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("may end as any program does", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        os.exit(0, true)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("may make a loop of its own", test(function(t)
    check(t, [[
      local pid = process.fork()
      if pid == 0 then
        local own, called = new_loop(), false
        own:call_later(0.001, function() called = true own:stop() end)
        own:start()
        process.leave(called and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))

  it("that comes to life in a callback leaves the parent's events alone", test(function(t)
    check(t, [[
      local pid
      loop:add_callback(function()
        pid = process.fork()
        if pid ~= 0 then loop:stop() end
      end)
      local ok, err = pcall(loop.start, loop)
      if pid == 0 then
        process.leave(not ok and tostring(err):find("ECHILD", 1, true) and 0 or 1)
      end
      assert(process.wait(pid) == 0, "the child failed")
      assert(all_work(), "after the fork")
      print("ok")
    ]])
  end))
end)

describe("descriptors that run out", function()
  after_each(helper.cleanup)

  it("are nil, a message and EMFILE; nothing is leaked, and it works afterwards", test(function(t)
    local script = t:script([[
      local function fill(files)
        repeat
          local file = io.open("/dev/null")
          files[#files + 1] = file
        until not file
        return files
      end
      local function drop(files, count)
        for _ = 1, count do table.remove(files):close() end
      end
      new_loop():close() -- what is made once has been made
      local files = fill({})
      local failures = 0
      for free = 0, 10 do
        drop(files, free)
        local loop, message, name = new_loop()
        if loop then
          assert(failures > 0, "it never failed")
          loop:call_later(0, loop.stop, loop)
          assert(loop:start())
          loop:close()
        else
          failures = failures + 1
          assert(name == "EMFILE", name)
          assert(message:find("^EMFILE: %l"), message)
        end
        local before = #files
        fill(files)
        assert(#files == before + free, ("%d descriptors are gone"):format(before + free - #files))
        if loop then print("ok") os.exit(0, true) end
      end
      error("it never works")
    ]])
    local child = t:keep(helper.command(("sh -c 'ulimit -n 40; exec %s %s'"):format(
      helper.interpreter, script)))
    local output, status = child:finish()
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))
end)

describe("a hundred thousand timers", function()
  after_each(helper.cleanup)

  local MANY = 100000

  local function resident_bytes()
    local statm = io.open("/proc/self/statm")
    -- a sanitizer keeps what was freed
    if not statm or os.getenv("LD_PRELOAD") then return 0 end
    local pages = tonumber(statm:read("*l"):match("^%d+ (%d+)"))
    statm:close()
    return pages * 4096
  end

  it("made and cancelled inside one callback leave nothing", test(function(t)
    local function rush()
      local handles = {}
      for i = 1, MANY do handles[i] = t.loop:call_later(i % 7, error, "it was cancelled") end
      for i = 1, MANY do t.loop:remove_timeout(handles[i]) end
    end
    local function settled()
      t.loop:add_callback(rush)
      assert.is_true(t.loop:run()) -- to the end: there are none to wait for
      assert.equal(0, t.loop:stats().timers)
      collectgarbage()
      collectgarbage()
      return collectgarbage("count"), resident_bytes()
    end
    local count = collectgarbage("count")
    local first, first_resident
    for _ = 1, 3 do first, first_resident = settled() end
    -- a handle is some 200 bytes, of which the loop keeps at most a place or two
    assert.is_true(first - count < MANY * 64 / 1024, "the handles are still there")
    local rounds, last, last_resident = 4, nil, nil
    for _ = 1, rounds do last, last_resident = settled() end
    assert.is_true(last - first < 100, "Lua's memory grows")
    -- allocators vary; a leak shows in each round
    assert.is_true(last_resident - first_resident < rounds * MANY * 48, "memory grows")
  end))

  it("that are pending cost an idle loop no time", test(function(t)
    for i = 1, MANY do t.loop:call_later(3600 + i % 100, noop) end
    t.loop:step(0)
    collectgarbage()
    local start, used = t.loop:time(), os.clock()
    assert.equal(0, (t.loop:step(0.2)))
    used = os.clock() - used
    local waited = t.loop:time() - start
    assert.is_true(waited >= 0.2)
    assert.is_true(used < waited / 4, ("%g s of %g s"):format(used, waited))
  end))
end)

describe("memory that runs out", function()
  after_each(helper.cleanup)

  -- One short life of everything, again and again, each time with another
  -- request for memory failing, until one comes through. What a callback needs
  -- is made beforehand, so that only the library asks for memory in it.
  local SCENARIO = [==[
    local arm = require("faultalloc")[...]
    local off = require("faultalloc").off
    -- LuaJIT itself crashes when memory runs out inside a trace.
    if rawget(_G, "jit") then jit.off() end
    local zmq, MESSAGES = zmqloop.zmq, 6
    local text, number, options = {}, {}, {impl = BACKEND}
    for i = 1, MESSAGES do
      text[i] = ("message %d "):format(i) .. ("x"):rep(i * 20)
      number[text[i]] = i
    end
    local pair = {"", ""}
    local accepted, received, reported = {}, {}, {}
    local life = {ctx = false, loop = false, out = false, into = false, sender = false,
      receiver = false, timer = false, reports_close = false}
    local fired, called, problem, closed_with = 0, 0, false, false

    local function check(result, message, name)
      if result == nil then
        if name ~= "ENOMEM" then problem = message end
        error(message, 0)
      end
      return result
    end
    local function is_memory(err)
      return type(err) == "string" and (err:find("not enough memory", 1, true)
        or err:find("ENOMEM", 1, true)) and true or false
    end
    local failures, failure = 0, false
    local function on_error(_, err)
      failures = failures + 1
      failure = err
    end
    local function on_recv(frames)
      local i = number[frames[2]]
      received[i] = received[i] + 1
    end
    local function on_send(frames)
      local i = number[frames[2]]
      reported[i] = reported[i] + 1
    end
    local function on_timer() fired = fired + 1 end
    local function on_callback() called = called + 1 end
    local function on_close(unsent) closed_with = unsent end

    local function live()
      life.ctx = check(zmq.Context())
      life.loop = check(zmqloop.IOLoop(options))
      life.loop:on_error(on_error)
      life.out = check(life.ctx:socket("PAIR"))
      life.into = check(life.ctx:socket("PAIR"))
      check(life.into:bind("inproc://oom"))
      life.sender = check(zmqloop.ZMQStream(life.out, life.loop))
      life.receiver = check(zmqloop.ZMQStream(life.into, life.loop))
      life.receiver:on_recv(on_recv)
      life.sender:on_send(on_send)
      life.sender:set_close_callback(on_close)
      life.reports_close = true
      for i = 1, MESSAGES do
        if i == 4 then check(life.sender:connect("inproc://oom")) end
        pair[2] = text[i]
        local ok, _, name = life.sender:send_multipart(pair)
        if ok then accepted[i] = true elseif name ~= "ENOMEM" then problem = name end
        if ok == nil then error("ENOMEM", 0) end
      end
      life.timer = check(life.loop:call_later(0, on_timer))
      life.loop:add_callback(on_callback)
      for _ = 1, 5 do life.loop:step(0) end
      life.timer:again(0)
      life.loop:step(0)
      check(life.loop:add_handler(check(life.ctx:socket("PULL")), on_callback, 1))
      life.receiver:pause()
      life.receiver:resume()
      life.sender:get("last_endpoint")
      life.sender:flush()
      life.receiver:on_recv(nil)
    end

    local function complete()
      for i = 1, MESSAGES do
        if accepted[i] and received[i] == 0 then return false end
      end
      return true
    end

    -- With memory back: all that was accepted has to arrive, once.
    local function aftermath()
      if life.receiver then
        life.receiver:on_recv(on_recv)
        life.sender:connect("inproc://oom")
        local deadline = life.loop:time() + 5
        while not complete() do
          life.loop:step(0.01)
          if life.loop:time() > deadline then error("an accepted message was lost") end
        end
        for _ = 1, 3 do life.loop:step(0) end
        for i = 1, MESSAGES do
          if received[i] > 1 then error("a message came twice") end
          if received[i] == 1 and not accepted[i] then error("a refused message came") end
          if reported[i] > 1 then error("a message was reported twice") end
        end
        life.sender:close()
        life.receiver:close()
        if life.reports_close and closed_with ~= 0 then
          error("close callback: " .. tostring(closed_with))
        end
      end
      if life.loop then
        life.loop:add_callback(on_callback)
        local before = called
        life.loop:step(0)
        if called ~= before + 1 then error("the loop is dead") end
        life.loop:close()
      end
      if life.ctx then life.ctx:destroy(0) end
    end

    local function reset()
      for key in pairs(life) do life[key] = false end
      for i = 1, MESSAGES do accepted[i], received[i], reported[i] = false, 0, 0 end
      fired, called, problem, failures, failure, closed_with = 0, 0, false, 0, false, false
    end

    local n = 0
    repeat
      n = n + 1
      reset()
      collectgarbage()
      arm(n)
      local ok, err = pcall(live)
      off()
      local came_through = ok and failures == 0
      local where = ("request %d: "):format(n)
      if problem then error(where .. tostring(problem)) end
      if not ok and not is_memory(err) then error(where .. tostring(err)) end
      if failures > 0 and not is_memory(failure) then error(where .. tostring(failure)) end
      local fine, trouble = pcall(aftermath)
      if not fine then error(where .. tostring(trouble)) end
      if n % 10 == 0 then
        reset()
        live()
        aftermath()
      end
      if n > 5000 then error("it never comes through") end
    until came_through
    reset()
    live()
    if called == 0 or fired == 0 then error("the scenario does nothing") end
    aftermath()
    print("came through after " .. n)
  ]==]

  for _, mode in ipairs{"fail_from", "fail_once"} do
    it("is a clean error at every point (" .. mode .. ")", test(function(t)
      if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
      local output, status = t:run_child(SCENARIO, {mode}, 60)
      assert.equal(0, status, output)
      local requests = tonumber(output:match("^came through after (%d+)\n$"))
      assert.is_number(requests, output)
      assert.is_true(requests > 20)
    end))
  end

  it("loses no message of one frame on its way to a callback", test(function(t)
    if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
    for _, mode in ipairs{"fail_from", "fail_once"} do
      local output, status = t:run_child([==[
        local arm, off = require("faultalloc")[...], require("faultalloc").off
        if rawget(_G, "jit") then jit.off() end
        local zmq, loop = zmqloop.zmq, new_loop()
        local ctx = zmq.Context()
        local push = ctx:socket("PUSH", {bind = "inproc://x"})
        local pull = zmqloop.ZMQStream(ctx:socket("PULL", {connect = "inproc://x"}), loop)
        local failures, received, count = 0, {false, false, false, false}, 0
        -- These ask for no memory, not even for that of another call.
        loop:on_error(function() failures = failures + 1 end)
        local function on_frame(frame)
          count = count + 1
          received[count] = frame
        end
        local function on_frames(frames)
          count = count + 1
          received[count] = frames[1]
        end
        for _, unpacked in ipairs{true, false} do
          pull:on_recv(unpacked and on_frame or on_frames, {unpack = unpacked})
          loop:step(0)
          local n = 0
          repeat
            n = n + 1
            count = 0
            for i = 1, 3 do push:send(("%d %d "):format(n, i) .. ("x"):rep(i * 25)) end
            local failed = failures
            collectgarbage()
            arm(n)
            local ok = pcall(loop.step, loop, 0)
            off()
            local came_through = ok and failures == failed and count == 3
            for _ = 1, 20 do loop:step(0) end
            if count ~= 3 then error(("%d came of 3"):format(count)) end
            for i = 1, 3 do
              local text = ("%d %d "):format(n, i) .. ("x"):rep(i * 25)
              if received[i] ~= text then error(("%d: %s"):format(i, tostring(received[i]))) end
            end
          until came_through or n > 1000
          assert(n > 3, n)
        end
        print("ok")
      ]==], {mode}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end
  end))
end)

describe("objects that nobody holds", function()
  after_each(helper.cleanup)

  it("are collected by the thousand, sockets and contexts too", test(function(t)
    local output, status = t:run_child([[
      local weak = setmetatable({}, {__mode = "k"})
      for round = 1, 50 do
        local loop, ctx = new_loop(), zmqloop.zmq.Context()
        weak[loop], weak[ctx] = true, true
        for _ = 1, 10 do
          local stream = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
          stream:on_recv(function() return stream, loop end)
          stream:send("unsent")
          loop:call_later(3600, function() return stream end)
          weak[stream] = true
        end
        if round % 10 == 0 then collectgarbage() end
      end
      for _ = 1, 4 do collectgarbage() end
      print(next(weak) == nil)
    ]])
    assert.equal("true\n", output)
    assert.equal(0, status)
  end))
end)
