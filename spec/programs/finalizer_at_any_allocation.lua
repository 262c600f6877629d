-- Each operation with a finalizer at each allocation it makes.
local collector = require("spec.collector")
if rawget(_G, "jit") then jit.off() end

-- The collector makes a whole cycle at each point where it may run.
local function collector_at_full_speed(on)
  collector.set(on and 0 or 200, on and collector.WHOLE or 200)
end

-- The collector of 5.2 runs at every sixth allocation, in either of its modes and at any pace:
-- there each trial is made six times, each with one allocation more before it.
local PHASES = _VERSION == "Lua 5.2" and 6 or 1
local phase

local strike -- {at=, count=, act=, hit=, err=} while the machine is on

local arm

local function make_finalizable()
  collector.finalized(function()
    local now = strike
    if not now then return end
    now.count = now.count + 1
    if now.count < now.at then return arm() end
    strike = nil
    now.hit = true
    local ok, err = pcall(now.act)
    now.err = not ok and err or nil
  end)
end

-- On a stack of its own: on this one a slot that is used no more would keep it.
function arm()
  coroutine.wrap(make_finalizable)()
end

-- From now on act() is called at the n-th point.
local function begin_strike(n, act)
  collector_at_full_speed(true)
  collectgarbage() -- from here on
  local now = {at = n, count = 0, act = act, hit = false}
  strike = now
  arm()
  for _ = 1, phase do coroutine.create(print) end
  return now
end

local function end_strike()
  strike = nil
  collector_at_full_speed(false)
end

local points, failures = 0, 0
-- Beyond that not each point is tried: Lua 5.1 has hundreds, since it looks at the whole stack.
local MANY = 12
local function complain(...)
  failures = failures + 1
  print("FAILED", ...)
end

-- One trial. A world has op(), which is called in a task or callback of its loop, or outside of
-- both, where `outside` is set; acts; and check(world, act's name), which returns what is wrong.
local function try(name, make, act_name, mode, n)
  local loop = new_loop()
  loop:make_current()
  loop:on_error(function(_, err)
    complain(name, act_name, mode, n, "callback: " .. tostring(err))
  end)
  local world = make(loop)
  world.loop, world.act_name = loop, act_name
  local act = world.acts[act_name]
  local now
  local function body()
    world.me = zmqloop.current_task()
    now = begin_strike(n, function() act(world) end)
    world.results = {world.op()}
    world.finished = true
  end
  if world.outside then
    body()
  elseif mode == "task" then
    world.task = loop:spawn(body)
  else
    loop:add_callback(body)
  end
  if not world.outside then loop:step(0) end
  end_strike()
  local hit = now.hit
  if now.err then complain(name, act_name, mode, n, "act: " .. tostring(now.err)) end
  if not hit then act(world) end
  for _ = 1, 12 do loop:step(0) end
  if world.settle then world.settle(world) end
  local wrong = world.check(world, act_name)
  if wrong then complain(name, act_name, mode, n, wrong) end
  if world.close then world.close(world) end
  loop:on_error(nil)
  loop:close()
  return hit
end

local function cross(name, make)
  local loop = new_loop()
  local probe = make(loop)
  if probe.close then probe.close(probe) end
  loop:close()
  for act_name in pairs(probe.acts) do
    for _, mode in ipairs(probe.outside and {"outside"} or {"task", "callback"}) do
      for each = 0, PHASES - 1 do
        local n = 1
        phase = each
        while try(name, make, act_name, mode, n) do
          points = points + 1
          n = n + (n > MANY and n or 1)
        end
      end
    end
  end
end

local function cancel(world) world.me:cancel() end
local function is_cancelled(world) return world.me:cancelled() and not world.finished end

-- ---- lines of tasks ---------------------------------------------------------------------------

cross("Event:wait", function()
  local event = zmqloop.Event()
  return {
    op = function() return event:wait(100) end,
    acts = {set = function() event:set() end, cancel = cancel},
    check = function(world, act)
      if event.line:count() ~= 0 then return "somebody waits: " .. tostring(event) end
      if act == "set" and not (world.finished and world.results[1] == true) then return "lost" end
      if act == "cancel" and not is_cancelled(world) then return "not cancelled" end
    end,
  }
end)

cross("Condition:wait", function()
  local condition = zmqloop.Condition()
  return {
    op = function() condition:wait() end,
    acts = {
      notify = function() condition:notify() end,
      all = function() condition:notify_all() end,
      cancel = cancel,
    },
    check = function(world, act)
      if act == "cancel" then return not is_cancelled(world) and "not cancelled" or nil end
      -- Who came after the notification rightly waits: it may come before the first instruction.
      local waiter = condition.line.first
      if waiter and waiter.a ~= condition.missed then return "lost" end
      if not waiter and not world.finished then return "neither waits nor runs" end
    end,
  }
end)

cross("Semaphore:acquire", function()
  local semaphore, released = zmqloop.Semaphore(0), 0
  return {
    op = function() return semaphore:acquire(100) end,
    acts = {
      release = function() semaphore:release() released = released + 1 end,
      twice = function() semaphore:release() semaphore:release() released = released + 2 end,
      cancel = cancel,
      both = function(world) semaphore:release() released = released + 1 cancel(world) end,
    },
    check = function(world, act)
      local had = world.finished and 1 or 0
      if semaphore.free + had ~= released then
        return tostring(semaphore) .. (" of %d, %d had"):format(released, had)
      end
      if semaphore.line:count() ~= 0 then return "somebody waits" end
      if act ~= "both" and act ~= "cancel" and had == 0 then return "lost" end
      if act == "cancel" and not is_cancelled(world) then return "not cancelled" end
    end,
  }
end)

for _, class in ipairs{"Queue", "LifoQueue", "PriorityQueue"} do
  local function counted(queue, world, put)
    local left = 0
    while queue:get_nowait() do left = left + 1 end
    if left + (world.got or 0) ~= put then
      return ("%d put, %d got, %d left"):format(put, world.got or 0, left)
    end
  end
  cross(class .. ":get", function()
    local queue, put, world = zmqloop[class](), 0, nil
    local function put_one() put = put + 1 queue:put_nowait(put) end
    world = {
      op = function() if queue:get() then world.got = 1 end end,
      acts = {
        put = put_one, twice = function() put_one() put_one() end, cancel = cancel,
        both = function() put_one() cancel(world) end,
      },
      check = function(_, act)
        if (act == "put" or act == "twice") and not world.got then return "lost" end
        if act == "cancel" and not is_cancelled(world) then return "not cancelled" end
        return counted(queue, world, put)
      end,
    }
    return world
  end)
  cross(class .. ":put", function()
    local queue, world = zmqloop[class](1), {got = 0}
    queue:put_nowait(1)
    world.op = function() queue:put(2) end
    world.acts = {
      get = function() if queue:get_nowait() then world.got = world.got + 1 end end,
      cancel = cancel,
    }
    world.check = function(_, act)
      if act == "get" and not world.finished then return "lost" end
      if act == "cancel" and not is_cancelled(world) then return "not cancelled" end
      return counted(queue, world, world.finished and 2 or 1)
    end
    return world
  end)
  cross(class .. ":put_nowait and get_nowait", function(loop)
    local queue, put, world = zmqloop[class](), 0, {got = 0, outside = true}
    local function put_one() put = put + 1 queue:put_nowait(put) end
    local function get_one() if queue:get_nowait() then world.got = world.got + 1 end end
    local tasks = {}
    for i = 1, 2 do
      tasks[i] = loop:spawn(function() queue:get() world.got = world.got + 1 end)
    end
    loop:step(0)
    world.op = function() for _ = 1, 4 do put_one() end get_one() end
    world.acts = {
      put = put_one, get = get_one, cancel = function() tasks[1]:cancel() end,
      second = function() tasks[2]:cancel() end,
    }
    world.check = function() return counted(queue, world, put) end
    return world
  end)
end

cross("Queue:join", function()
  local queue = zmqloop.Queue()
  queue:put_nowait(1)
  return {
    op = function() return queue:join() end,
    acts = {done = function() queue:task_done() end, cancel = cancel},
    check = function(world, act)
      if act == "done" and not world.finished then return "lost" end
      if act == "cancel" and not is_cancelled(world) then return "not cancelled" end
    end,
  }
end)

-- Somebody wakes those in line, and a finalizer does so, too.
for name, wakes in pairs{
  Event = {new = zmqloop.Event, wait = "wait", wake = "set"},
  Condition = {new = zmqloop.Condition, wait = "wait", wake = "notify"},
  Semaphore = {
    new = function() return zmqloop.Semaphore(0) end, wait = "acquire", wake = "release",
  },
} do
  cross(name .. ":" .. wakes.wake, function(loop)
    local object, woken, tasks, calls = wakes.new(), 0, {}, 0
    for i = 1, 3 do
      tasks[i] = loop:spawn(function() object[wakes.wait](object) woken = woken + 1 end)
    end
    loop:step(0)
    local function wake() calls = calls + 1 object[wakes.wake](object) end
    return {
      outside = true,
      op = wake,
      acts = {again = wake, cancel = function() tasks[1]:cancel() end},
      check = function(_, act)
        local expected = name == "Event" and (act == "cancel" and 2 or 3) or calls
        if name == "Event" and act == "cancel" and not tasks[1]:cancelled() then
          expected = 3 -- it had been woken
        end
        if woken ~= expected then return ("%d of %d"):format(woken, expected) end
      end,
    }
  end)
end

-- ---- futures ------------------------------------------------------------------------------------

for how, wait in pairs{
  await = function(future) return future:await(100) end,
  with_timeout = function(future) return zmqloop.with_timeout(100, future) end,
  shield = function(future) return zmqloop.await(zmqloop.shield(future)) end,
  gather = function(future) return zmqloop.gather({future})[1] end,
  as_completed = function(future)
    local next_done = zmqloop.as_completed({future})
    return next_done():result()
  end,
} do
  cross(how, function(loop)
    local future = zmqloop.Future(loop)
    return {
      op = function() return wait(future) end,
      acts = {
        set_result = function() if not future:done() then future:set_result(42) end end,
        cancel = cancel,
        cancel_it = how ~= "as_completed" and function() future:cancel() end or nil,
      },
      check = function(world, act)
        if act == "set_result" then
          return not (world.finished and world.results[1] == 42) and "lost" or nil
        end
        return not is_cancelled(world) and "not cancelled" or nil
      end,
    }
  end)
end

cross("Future:set_result", function(loop)
  local future, told, tasks = zmqloop.Future(loop), 0, {}
  for i = 1, 3 do
    tasks[i] = loop:spawn(function() future:await() told = told + 1 end)
  end
  loop:step(0)
  local expected = 3
  return {
    outside = true,
    op = function() return future:set_result(1) end,
    acts = {
      subscribe = function()
        expected = 4
        future:add_done_callback(function() told = told + 1 end)
      end,
      cancel = function() if tasks[2]:cancel() then expected = 2 end end,
    },
    check = function()
      if future:cancelled() then expected = 0 end -- with a task that awaited it
      if told ~= expected then return ("%d of %d were told"):format(told, expected) end
    end,
  }
end)

cross("Future:set_error", function(loop)
  local future, told = zmqloop.Future(loop), 0
  future:add_done_callback(function() told = told + 1 end)
  return {
    outside = true,
    op = function() future:set_error("bad") end,
    acts = {cancel = function() future:cancel() end},
    check = function()
      future:error()
      if told ~= 1 then return "told " .. told end
    end,
  }
end)

cross("sleep", function()
  return {
    op = function() zmqloop.sleep(100) end,
    acts = {cancel = cancel},
    check = function(world) return not is_cancelled(world) and "not cancelled" or nil end,
  }
end)

cross("spawn and cancel", function(loop)
  local task, ran
  return {
    op = function()
      task = loop:spawn(function() ran = true end)
      zmqloop.sleep(0)
      zmqloop.sleep(0)
    end,
    acts = {cancel = function() if task then task:cancel() end end},
    check = function(world)
      if not world.finished then return "lost" end
      if not task:done() or task:cancelled() == (ran or false) then return tostring(task) end
    end,
  }
end)

-- ---- sockets ------------------------------------------------------------------------------------

local serial = 0
local function pair(loop, green)
  serial = serial + 1
  local address = "inproc://finalizers-" .. serial
  local zmq = zmqloop.zmq
  local ctx = green and require("zmqloop.green").Context() or zmq.Context()
  local bound = ctx:socket("PAIR", {bind = address, linger = 0, sndhwm = 1, rcvhwm = 1})
  local peer = ctx:socket("PAIR", {connect = address, linger = 0, sndhwm = 1, rcvhwm = 1})
  local world = {bound = bound, peer = peer}
  if not green then world.stream = zmqloop.ZMQStream(bound, loop) end
  world.close = function()
    bound:close()
    peer:close()
    ctx:destroy(0)
  end
  world.settle = function()
    for _ = 1, 50 do
      if world.finished or world.me and world.me:done() then return end
      loop:step(0.01)
    end
  end
  return world
end

for name, receive in pairs{
  ["stream:recv"] = function(world) return world.stream:recv() end,
  ["green recv"] = function(world) return world.bound:recv() end,
  ["green recv by parts"] = function(world)
    local frame, message, name = world.bound:recv()
    while frame and world.bound:get("rcvmore") == 1 do frame, message, name = world.bound:recv() end
    return frame, message, name
  end,
  ["green poll"] = function(world) return world.bound:poll(-1) end,
} do
  cross(name, function(loop)
    local world = pair(loop, name:find("green") ~= nil)
    local other = loop:spawn(function()
      if world.stream then world.stream:recv() else world.bound:recv() end
    end)
    loop:step(0)
    loop:step(0)
    local function send()
      world.peer:send_multipart({"a", "message"}, zmqloop.zmq.DONTWAIT)
    end
    world.op = function()
      if world.act_name == "close" then return zmqloop.pcall(receive, world) end
      return receive(world)
    end
    world.acts = {
      send = function() other:cancel() send() end,
      close = function() (world.stream or world.bound):close() end,
      cancel = cancel,
    }
    world.check = function(_, act)
      if act == "cancel" then return not is_cancelled(world) and "not cancelled" or nil end
      if not world.finished and not (world.me and world.me:done()) then return "lost" end
    end
    return world
  end)
end

cross("stream:send_wait", function(loop)
  local world = pair(loop)
  world.stream:set_send_hwm(1)
  while world.stream:send("x") do end
  world.op = function() return world.stream:send_wait("y") end
  world.acts = {
    room = function()
      while world.peer:recv(zmqloop.zmq.DONTWAIT) do end
      world.stream:flush("w")
      while world.peer:recv(zmqloop.zmq.DONTWAIT) do end
    end,
    cancel = cancel,
  }
  local settle = world.settle
  world.settle = function()
    for _ = 1, 5 do
      while world.peer:recv(zmqloop.zmq.DONTWAIT) do end
      loop:step(0)
    end
    settle()
  end
  world.check = function(_, act)
    if act == "cancel" then return not is_cancelled(world) and "not cancelled" or nil end
    if not world.finished then return "lost" end
  end
  return world
end)

for name, send in pairs{
  ["green send"] = function(world) return world.bound:send("y") end,
  ["green send by parts"] = function(world)
    local sent, message, failure = world.bound:send("y", zmqloop.zmq.SNDMORE)
    if not sent then return sent, message, failure end
    return world.bound:send("z")
  end,
} do
  cross(name, function(loop)
    local world = pair(loop, true)
    local DONTWAIT = zmqloop.zmq.DONTWAIT
    while world.bound:send("x", DONTWAIT) do end
    local other = loop:spawn(function() world.bound:send("x") end)
    loop:step(0)
    loop:step(0)
    local function empty()
      while world.peer:recv_multipart(DONTWAIT) do end
    end
    world.op = function()
      if world.act_name == "close" then return zmqloop.pcall(send, world) end
      return send(world)
    end
    world.acts = {
      room = function() other:cancel() empty() end,
      close = function() world.bound:close() end,
      cancel = cancel,
    }
    local settle = world.settle
    world.settle = function()
      if world.act_name == "room" then empty() end
      settle()
    end
    world.check = function(_, act)
      if act == "cancel" then return not is_cancelled(world) and "not cancelled" or nil end
      if not world.finished and not (world.me and world.me:done()) then return "lost" end
    end
    return world
  end)
end

-- ---- ends of streams ----------------------------------------------------------------------------

for _, method in ipairs{"close", "drain"} do
  cross("stream:" .. method, function(loop)
    local world, told = pair(loop), 0
    local stream = world.stream
    stream:set_close_callback(function() told = told + 1 end)
    world.op = function() pcall(stream[method], stream) end -- it may be closed already
    world.acts = {
      close = function() stream:close(0) end,
      socket = function() stream.socket:close(0) end,
    }
    world.check = function()
      if told ~= 1 then return ("told %d times"):format(told) end
    end
    return world
  end)
end

cross("stream:flush", function(loop)
  local world = pair(loop)
  local stream = world.stream
  stream:on_recv(function() end)
  world.op = function() pcall(stream.flush, stream) end
  world.acts = {close = function() stream:close(0) end}
  world.check = function() return not stream:closed() and "open" or nil end
  return world
end)

for _, method in ipairs{"step", "run"} do
  cross("loop:" .. method, function()
    local loop = new_loop()
    return {
      outside = true,
      op = function() pcall(loop[method], loop) end,
      acts = {close = function() loop:close() end},
      check = function() return not loop:closed() and "open" or nil end,
    }
  end)
end

-- ---- calls of callbacks, whose handle a finalizer closes ----------------------------------------

-- begin(loop, callback) makes one call due, and returns what closes its handle and what ends the
-- world.
local function cross_call(name, begin)
  cross("call of " .. name, function(loop)
    local closed, called_late = false, false
    local close, clean_up = begin(loop, function()
      called_late = called_late or closed
    end)
    return {
      outside = true,
      op = function() loop:step(0) end,
      acts = {close = function() closed = true close() end},
      check = function() -- LuaJIT: see "Known limits" in docs/design.md
        local may_be_late = rawget(_G, "jit") and name:find("on_recv", 1, true)
          or _VERSION == "Lua 5.2" or _VERSION == "Lua 5.3" -- collect as the function is entered
        if called_late and not may_be_late then return "called after the end" end
      end,
      close = clean_up,
    }
  end)
end

local function full_pair(loop)
  local world = pair(loop)
  world.stream:set_send_hwm(1)
  while world.stream:send("x") do end
  while world.peer:recv(zmqloop.zmq.DONTWAIT) do end
  return world
end

local function close_stream(world)
  return function() world.stream:close(0) end, world.close
end

cross_call("on_recv", function(loop, callback)
  local world = pair(loop)
  world.stream:on_recv(callback)
  world.peer:send("x")
  return close_stream(world)
end)

cross_call("on_recv with unpacked frames", function(loop, callback)
  local world = pair(loop)
  world.stream:on_recv(callback, {unpack = true})
  world.peer:send("x")
  return close_stream(world)
end)

cross_call("on_recv with Frames", function(loop, callback)
  local world = pair(loop)
  world.stream:on_recv(callback, {copy = false})
  world.peer:send("x")
  return close_stream(world)
end)

cross_call("on_send", function(loop, callback)
  local world = pair(loop)
  world.stream:on_send(callback)
  world.stream:send("x")
  return close_stream(world)
end)

cross_call("a message's own callback", function(loop, callback)
  local world = pair(loop)
  world.stream:send("x", callback)
  return close_stream(world)
end)

cross_call("on_drain", function(loop, callback)
  local world = full_pair(loop)
  world.stream:on_drain(callback)
  return close_stream(world)
end)

cross_call("on_error", function(loop, callback)
  local zmq = zmqloop.zmq
  local world = pair(loop)
  local router = zmq.Context.instance():socket("ROUTER", {router_mandatory = 1, linger = 0})
  local stream = zmqloop.ZMQStream(router, loop)
  stream:on_error(callback)
  stream:send_multipart({"nobody", "x"}, {early = true})
  return function() stream:close(0) end, function()
    stream:close(0)
    world.close()
  end
end)

cross_call("a handler", function(loop, callback)
  local world = pair(loop)
  world.stream:close(0)
  local ctx = zmqloop.zmq.Context()
  local a = ctx:socket("PAIR", {bind = "inproc://handler", linger = 0})
  local b = ctx:socket("PAIR", {connect = "inproc://handler", linger = 0})
  b:send("x")
  loop:add_handler(a, function()
    callback()
    a:recv(zmqloop.zmq.DONTWAIT)
  end, "r")
  return function() loop:remove_handler(a) end, function()
    ctx:destroy(0)
    world.close()
  end
end)

cross_call("a signal's handler", function(loop, callback)
  local process = require("process")
  loop:add_signal_handler("SIGUSR2", callback)
  process.kill(12)
  return function() loop:remove_signal_handler("SIGUSR2") end
end)

cross_call("a timer", function(loop, callback)
  local timer = loop:call_later(0, callback)
  return function() timer:cancel() end
end)

-- Fewer would say that the collector did not run.
print(points > 500 and failures == 0 and "all right" or "failures", points, failures)
