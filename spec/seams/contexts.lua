-- The contexts: each entry arranges that body() is called once in a callback of its kind, now or
-- soon. `number` decides everything left open.
--
-- A new kind of callback is one entry here.
local ioloop = require("zmqloop.ioloop")
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq

local contexts = {}

-- An error in there would come out of innocent code: it ends here.
local function guarded(world, body)
  return function()
    local ok, err = pcall(body)
    if not ok then world.oracle:saw(err, "in a guarded place") end
  end
end

local function milliseconds(number)
  return number % 3 / 1000
end

-- A link of the kind whose streams have callbacks; made if there is none.
local function streams(world, number)
  for i = 1, #world.links do
    local link = world.links[(number + i) % #world.links + 1]
    if link.way == "callback" and not link.out:closed() and not link.into:closed()
      and not link.ledger.excused then
      return link
    end
  end
  return world:add_link(3 + 16 * number) -- DEALER and DEALER, with the context of all
end

function contexts.here(_, body) body() end

function contexts.coroutine(_, body)
  local co = coroutine.create(body)
  local ok, err = coroutine.resume(co)
  if not ok then error(err, 0) end
end

function contexts.callback(world, body) world.loop:add_callback(body) end

function contexts.timer(world, body, number)
  world.timers[#world.timers + 1] = world.loop:call_later(milliseconds(number), body)
end

function contexts.periodic(world, body, number)
  local periodic, called = nil, false
  periodic = ioloop.PeriodicCallback(function()
    world:enter()
    if called then return periodic:stop() end
    called = true
    body()
  end, 1 + number % 2, {io_loop = world.loop, missed = number % 3 == 0 and "burst" or "skip"})
  world.periodics[#world.periodics + 1] = periodic
  periodic:start()
end

function contexts.on_recv(world, body, number)
  local link = streams(world, number)
  if not link.into:receiving() then link:settle() end
  world:await("on_recv", body)
  link:send_now()
end

function contexts.on_send(world, body, number)
  world:await("on_send", body)
  streams(world, number):send_now()
end

function contexts.own_on_send(world, body, number)
  local called = false
  streams(world, number):send_now(function()
    world:enter()
    world.oracle:check(not called, "a message was reported twice")
    called = true
    body()
  end)
end

-- Full, and then there is room again.
function contexts.on_drain(world, body, number)
  local link = streams(world, number)
  world:await("on_drain", body)
  link.out:set_send_hwm(1)
  link.into:pause()
  local tries = 0
  repeat
    tries = tries + 1
    local accepted = link:send_now()
  until not accepted or tries > 15
  if not link.into:closed() then link.into:resume() end
end

-- A stream of nothing but its end.
local function new_stream(world)
  local stream = assert(zmqloop.ZMQStream(world.contexts[1]:socket("PULL"), world.loop))
  world.streams[#world.streams + 1] = stream
  world.handles[stream] = "stream"
  return stream
end

function contexts.close_callback(world, body, number)
  local stream = new_stream(world)
  stream:set_close_callback(body)
  if number % 2 == 0 then stream:close(0) else world.loop:add_callback(stream.close, stream, 0) end
end

function contexts.stream_error(world, body)
  local stream = new_stream(world)
  stream:on_recv(function() end)
  stream:on_error(body)
  stream.socket:close()
end

function contexts.handler(world, body)
  world:await("handler", body)
  local file = world.pipe[2]
  world.loop:remove_handler(file)
  assert(world.loop:add_handler(file, function()
    world.loop:remove_handler(file)
    world:run_pending("handler")
  end, "w"))
end

-- Keeps its handler until the body has returned, also if that waits.
function contexts.socket_handler(world, body)
  local socket = assert(world.contexts[1]:socket("PUB"))
  world.sockets[#world.sockets + 1] = socket
  local called = false
  assert(world.loop:add_handler(socket, function()
    world:enter()
    if called then return world.loop:remove_handler(socket) end
    called = true
    body()
  end, "w"))
end

function contexts.signal(world, body)
  world:await("signal", body)
  require("process").kill(10) -- SIGUSR1
end

function contexts.task(world, body) world:keep(world.loop:spawn(body)) end

-- Its end does not matter.
function contexts.forgotten_task(world, body) world.handles[world.loop:spawn(body)] = "task" end

-- In what a task does when it is cancelled.
function contexts.cancelled_task(world, body, number)
  local task
  task = world:keep(world.loop:spawn(function()
    zmqloop.pcall(zmqloop.sleep, 0.5)
    body()
  end))
  world.loop:call_later(milliseconds(number), function()
    world:enter()
    task:cancel()
  end)
end

-- In a task that a message has woken.
function contexts.receiving_task(world, body, number)
  local link
  for _, each in ipairs(world.links) do
    if each.way ~= "callback" and not each.into:closed() and not each.out:closed() then
      link = each
    end
  end
  link = link or world:add_link(number % 2 == 0 and 9 or 13)
  world:keep(world.loop:spawn(function()
    world:enter()
    local frames = link.into[link.way == "green" and "recv_multipart" or "recv"](link.into)
    world:enter()
    if frames then link:got(frames) end
    body()
  end))
  link:send_now()
end

function contexts.future(world, body, number)
  local future = zmqloop.Future(world.loop)
  future:add_done_callback(body)
  if number % 2 == 0 then future:set_result(number) else future:cancel() end
end

function contexts.error_handler(world, body, number)
  world:await("error_handler", body)
  world.loop:add_callback(error, world.oracle:plan(number % 2 + 1), 0)
end

function contexts.finalizer(world, body, number)
  body = guarded(world, body)
  if number % 2 == 0 then
    world.to_drop = body -- in the midst of the next call
    return
  end
  local memory = require("spec.seams.memory")
  memory.drop(body)
  memory.usual(world.program.hurries)
  collectgarbage()
end

function contexts.comparison(world, body)
  world:await("comparison", body)
  local entry = world.queues[4]
  for _ = 1, 2 do
    local item = entry.store:begin()
    local ok, err = pcall(entry.queue.put_nowait, entry.queue, item)
    entry.store:finish(item, ok and "in" or "refused")
    if not ok then error(err, 0) end
  end
end

-- Only where the clock is a function; else it is that of another loop.
function contexts.clock(world, body, number)
  world:await("clock", guarded(world, body))
  if world.program.clock == "function" then
    world.loop:time()
    return
  end
  local loop = zmqloop.IOLoop{impl = world.backend, clock = function()
    world:run_pending("clock")
    return number
  end}
  loop:time()
  loop:close()
end

-- Where items are moved and counted, nothing in Lua can keep a hook from doing the same in between:
-- it must not use the very lock or queue that the code it interrupts is changing.
local NOT_IN = {"async/queues.lua", "async/locks.lua", "async/waiters.lua"}

local function may_strike_in(source)
  for _, name in ipairs(NOT_IN) do
    if source:find(name, 1, true) then return false end
  end
  return source:find("lua/zmqloop/", 1, true) ~= nil
end

-- At some instruction of the library; or at none, if the coroutine ends before.
function contexts.hook(world, body, number)
  local co, left = coroutine.running(), number % 200
  world.hooks = world.hooks + 1
  world.hooked[#world.hooked + 1] = co
  body = guarded(world, body)
  local function hook()
    world:enter()
    local info = debug.getinfo(2, "S")
    if not info or not may_strike_in(info.source) then return end
    left = left - 1
    if left > 0 then return end
    if co then debug.sethook(co) else debug.sethook() end
    world.hooks = world.hooks - 1
    body()
  end
  if co then debug.sethook(co, hook, "", 1) else debug.sethook(hook, "", 1) end
end

function contexts.inner_loop(world, body, number)
  local loop = number % 2 == 0 and world.loops[2 + number % #world.loops] or world:new_loop()
  if loop:closed() then return end
  loop:add_callback(body)
  if not loop:running() then world:returned(pcall(loop.step, loop, 0)) end
end

-- Each wait is cut off, not only the first: the world's own loop, which it may be for, does not run
-- meanwhile.
function contexts.run_sync(world, body)
  local loop = world:new_loop()
  local task, timer
  local function cut_off()
    world:enter()
    timer = loop:call_later(0.1, cut_off)
    if task then task:cancel() end
  end
  timer = loop:call_later(0.1, cut_off)
  local ok, err = pcall(loop.run_sync, loop, function()
    task = zmqloop.current_task()
    body()
  end, 1)
  timer:cancel()
  if not ok then error(err, 0) end
end

-- In a callback that flush() calls.
function contexts.flush(world, body, number)
  local link = streams(world, number)
  if not link.into:receiving() then link:settle() end
  world:await("on_recv", body)
  link:send_now()
  if not link.into:closed() then link.into:flush(zmq.POLLIN) end
end

return contexts
