-- Signals that come at any time.
local helper = require("spec.helper")
local test = helper.test

local HANG = 137 -- the time limit had to kill it

local function has_module(name)
  return (pcall(require, name))
end

describe("a storm of signals", function()
  after_each(helper.cleanup)

  it("loses no message, no order, no timer", test(function(t)
    if not has_module("sigstorm") then pending("needs the module sigstorm of the build") end
    local output, status = t:run_child(helper.program("storm_of_signals"))
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))

  it("does not start the time of a blocking call anew", test(function(t)
    if not has_module("sigstorm") then pending("needs the module sigstorm of the build") end
    local output, status = t:run_child(helper.program("blocking_in_a_storm"))
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))

  it("of stops and continues ends nothing and loses nothing", test(function(t)
    local child = t:child(helper.program("receives_in_order"), {t:address("ipc")})
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
    local child = t:child(helper.program("goes_on_after_an_interrupt"))
    assert.equal("ready", child:line())
    child:wait_asleep()
    child:kill("INT")
    assert.matches("went on\n$", (child:finish()))
  end))
end)
