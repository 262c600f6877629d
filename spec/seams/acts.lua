-- The acts: each entry is one act, run(world, number), in any callback. `waits`: it may suspend.
-- `number` decides everything left open. The oracle knows the permitted errors of an act, such as
-- "stream is closed".
--
-- A new feature is one entry here.
local memory = require("spec.seams.memory")
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq

local acts = {}

local function act(name, run) acts[name] = {run = run} end
local function waiting_act(name, run) acts[name] = {run = run, waits = true} end

-- Results of a call, or its error raised.
local function check(ok, ...)
  if not ok then error((...), 0) end
  return ...
end

local function link_of(world, number, way)
  for i = 1, #world.links do
    local link = world.links[(number + i) % #world.links + 1]
    if not way or link.way == way then return link end
  end
end

-- Calls fn(link), if there is one.
local function on_link(way, fn)
  return function(world, number)
    local link = link_of(world, number, way)
    if link then return fn(link, number, world) end
  end
end

-- Seconds for a wait; nil, for ever, only where it can be cancelled.
local function patience(world, number)
  if world.context == "task" and number % 3 == 0 then return nil end
  return (1 + number % 3) / 1000
end

-- ---- streams ----------------------------------------------------------------------------------

act("send", on_link(nil, function(link) link:send_now() end))

act("send and track", on_link("callback", function(link) link:send_now{track = true} end))

act("send many", on_link("callback", function(link, number)
  for _ = 1, 1 + number % 10 do
    if not link:send_now() then break end
  end
end))

local function flush(stream_of, mask)
  return on_link("callback", function(link, number, world)
    local stream = link[stream_of]
    local limit = number % 3 > 0 and number % 5 or nil
    local deaf = stream_of == "into" and not stream:closed() and link.deaf
    local count = check(world:call(false, stream.flush, stream, mask, limit))
    world.oracle:check(not limit or count <= limit, "flush handled %d, not %s", count,
      tostring(limit))
    if deaf then link.ledger.discarded = link.ledger.discarded + count end
  end)
end

act("flush a sender", flush("out", zmq.POLLOUT))
act("flush a receiver", flush("into", zmq.POLLIN))
act("flush both", flush("into", zmq.POLLIN + zmq.POLLOUT))

act("pause", on_link("callback", function(link) link.into:pause() end))
act("resume", on_link("callback", function(link) link.into:resume() end))

act("listen", on_link("callback", function(link, number)
  link:listen(number)
  link.deaf = false
end))

act("deafen", on_link("callback", function(link)
  link.into:on_recv(nil)
  link.deaf = true
end))

act("listen while tasks wait", on_link("task", function(link)
  link.into:on_recv(function(frames) link:got(frames) end)
  link.into:on_recv(nil)
end))

act("report no more", on_link("callback", function(link) link.out:stop_on_send() end))

act("tune", on_link("callback", function(link, number)
  link.into:set_batch(1 + number % 4)
  link.into:set_priority(number % 5 - 2)
  link.out:set_send_hwm(number % 4, number % 7 == 0 and 1000 or nil)
end))

act("close a sender", on_link(nil, function(link, number) link:close_out(number) end))
act("close a receiver", on_link(nil, function(link) link:close_into() end))

act("close a socket", on_link("callback", function(link, number)
  if number % 2 == 0 then return link.out.socket:close() end
  link.ledger.excused = true
  link.into.socket:close()
end))

act("drain", on_link("callback", function(link, number, world)
  if world.loop:running() then link.out:drain((number % 3) / 1000) end
end))

act("end a context", on_link(nil, function(link) link:shut_down() end))

act("new link", function(world, number)
  if #world.links < 12 then world:add_link(number) end
end)

-- ---- tasks and streams ------------------------------------------------------------------------

waiting_act("receive in a task", on_link("task", function(link, number, world)
  local frames = check(world:call(true, link.into.recv, link.into, patience(world, number)))
  if frames then link:got(frames) end
end))

act("take what is there", on_link("task", function(link, _, world)
  local frames = check(world:call(false, link.into.recv, link.into, 0))
  if frames then link:got(frames) end
end))

waiting_act("send and wait", on_link("callback", function(link, number, world)
  link:send(true, "send_wait", patience(world, number))
end))

waiting_act("send green", on_link("green", function(link, number, world)
  if world.loops[1]:running() then
    link.out:set("sndtimeo", 1 + number % 3)
    link:send(true, "send_multipart")
  end
end))

waiting_act("receive green", on_link("green", function(link, number, world)
  if not world.loop:running() then return end
  link.into:set("rcvtimeo", 1 + number % 3)
  local frames = check(world:call(true, link.into.recv_multipart, link.into))
  if frames then link:got(frames) end
end))

-- Frame by frame; another task may not get between.
waiting_act("receive green frames", on_link("green", function(link, number, world)
  if not world.loop:running() then return end
  link.into:set("rcvtimeo", 1 + number % 3)
  local frames = {}
  repeat
    local frame = check(world:call(true, link.into.recv, link.into))
    frames[#frames + 1] = frame
  until not frame or link.into:get("rcvmore") == 0
  if #frames > 0 then link:got(frames) end
end))

waiting_act("send green frames", on_link("green", function(link, _, world)
  if not world.loop:running() then return end
  local message, frames = link.ledger:begin()
  link.out:set("sndtimeo", -1)
  for i, frame in ipairs(frames) do
    local ok, sent, _, name = world:call(true, link.out.send, link.out, frame,
      i < #frames and zmq.SNDMORE or 0)
    if not ok or not sent then
      link.ledger:finish(message, (i == 1 and ok) and "refused" or "doubtful")
      if not ok then error(sent, 0) end
      return name
    end
  end
  link.ledger:finish(message, "accepted")
end))

waiting_act("poll green", on_link("green", function(link, number, world)
  if world.loop:running() then
    check(world:call(true, link.into.poll, link.into, number % 3, zmq.POLLIN))
  end
end))

waiting_act("poll two green", on_link("green", function(link, number, world)
  if not world.loop:running() then return end
  local poller = require("zmqloop.green").Poller()
  poller:register(link.into, zmq.POLLIN)
  poller:register(world.pipe[1], zmq.POLLIN)
  if number % 2 == 0 then poller:register(world.loop:split_fd(world.pipe[1]), zmq.POLLERR) end
  check(world:call(true, poller.poll, poller, number % 3))
end))

-- ---- the loop ---------------------------------------------------------------------------------

act("callback", function(world) world.loop:add_callback(function() world:enter() end) end)

act("cancel a timer", function(world, number)
  local timer = world:pick(world.timers, number)
  if timer then timer:cancel() end
end)

act("start a timer again", function(world, number)
  local timer = world:pick(world.timers, number)
  if timer and number % 2 == 0 then timer:again(number % 3 / 1000) end
end)

act("stop or start a series", function(world, number)
  local periodic = world:pick(world.periodics, number)
  if periodic then
    if number % 2 == 0 then periodic:stop() else periodic:start() end
  end
end)

act("remove a handler", function(world) world.loop:remove_handler(world.pipe[2]) end)
act("stop", function(world) world.loop:stop() end)

act("step", function(world)
  check(world:call(false, world.loop.step, world.loop, 0))
end)

act("step with a budget", function(world, number)
  local events = 1 + number % 5
  local handled = check(world:call(false, world.loop.step, world.loop, 0, {events = events}))
  world.oracle:check(handled <= events, "a step of %d events handled %d", events, handled)
end)

act("start", function(world)
  local loop = world.loop
  if not world:can_run() then return end
  local guard = loop:call_later(0.002, function() loop:stop() end)
  local ok, err = world:call(false, loop.start, loop)
  guard:cancel()
  check(ok, err)
end)

act("step an inner loop", function(world, number)
  local loop = world:pick(world.loops, number)
  if loop:closed() or loop:running() then return end
  check(world:call(false, loop.step, loop, 0))
end)

act("close an inner loop", function(world, number)
  local loop = world:pick(world.loops, number)
  if loop ~= world.loop and not loop:running() then loop:close() end
end)

act("close the running loop", function(world)
  if world.loop:running() then
    local ok = world:call(false, world.loop.close, world.loop)
    world.oracle:check(not ok, "a running loop was closed")
  end
end)

act("signal", function() require("process").kill(10) end) -- SIGUSR1

act("look", function(world)
  local stats = world.loop:stats()
  world.oracle:check(stats.iterations >= 0 and stats.idle >= 0 and stats.busy >= 0,
    "stats are below 0")
  local seconds = world.loop:timeout()
  world.oracle:check(seconds == nil or seconds >= 0, "timeout() is %s", tostring(seconds))
end)

act("raise", function(world, number)
  error(world.oracle:plan(number % 3 + 1), 0)
end)

-- ---- locks and queues -------------------------------------------------------------------------

-- While it is held.
local function hold(world, lock, number, most)
  world:enter()
  local holders, loop = world.holders, zmqloop.IOLoop.current()
  local held = holders[lock]
  if not held then
    held = {count = 0, loops = {}}
    holders[lock] = held
  end
  held.count = held.count + 1
  held.loops[loop] = (held.loops[loop] or 0) + 1
  world.oracle:check(held.count <= most, "%s is held by %d", tostring(lock), held.count)
  local ok, err
  if number % 2 == 0 then
    ok, err = zmqloop.pcall(zmqloop.sleep, number % 3 / 1000)
  else
    ok, err = pcall(function() return {} end) -- only garbage
  end
  held.count = held.count - 1
  held.loops[loop] = held.loops[loop] - 1
  if not ok then error(err, 0) end
end

waiting_act("hold a lock", function(world, number)
  local lock = world:pick(world.locks, number)
  check(world:call(true, lock.with, lock, hold, world, lock, number, 1))
end)

waiting_act("acquire and release", function(world, number)
  local lock = world:pick(world.locks, number)
  if not check(world:call(true, lock.acquire, lock, patience(world, number))) then return end
  local ok, err = zmqloop.pcall(hold, world, lock, number, 1)
  lock:release()
  if not ok then error(err, 0) end
end)

waiting_act("hold a semaphore", function(world, number)
  local semaphore = world:pick(world.semaphores, number)
  check(world:call(true, semaphore.with, semaphore, hold, world, semaphore, number,
    semaphore == world.semaphores[1] and 2 or 1))
end)

act("set an event", function(world) check(world:call(false, world.event.set, world.event)) end)
act("clear an event", function(world) world.event:clear() end)

waiting_act("wait for an event", function(world, number)
  check(world:call(true, world.event.wait, world.event, patience(world, number)))
end)

waiting_act("wait for a condition", function(world, number)
  check(world:call(true, world.condition.wait, world.condition, patience(world, number)))
end)

act("notify", function(world, number)
  check(world:call(false, world.condition.notify, world.condition, number % 3))
end)

local function put(world, entry, waits, method, ...)
  local item = entry.store:begin()
  local ok, answer = world:call(waits, entry.queue[method], entry.queue, item, ...)
  if ok then
    entry.store:finish(item, answer and "in" or "refused")
  else -- a cancelled put() has not put
    entry.store:finish(item, world.oracle.doubts > 0 and "doubtful" or "refused")
    error(answer, 0)
  end
end

waiting_act("put", function(world, number)
  put(world, world:pick(world.queues, number), true, "put", patience(world, number))
end)

act("put now", function(world, number)
  put(world, world:pick(world.queues, number), false, "put_nowait")
end)

waiting_act("get", function(world, number)
  local entry = world:pick(world.queues, number)
  local item = check(world:call(true, entry.queue.get, entry.queue, patience(world, number)))
  if item then entry.store:got(item) end
end)

act("get now", function(world, number)
  local entry = world:pick(world.queues, number)
  local item = check(world:call(false, entry.queue.get_nowait, entry.queue))
  if item then entry.store:got(item) end
end)

waiting_act("join", function(world, number)
  local queue = world:pick(world.queues, number).queue
  check(world:call(true, queue.join, queue, (1 + number % 3) / 1000))
end)

act("a task done", function(world, number) world:pick(world.queues, number).queue:task_done() end)

-- ---- tasks and futures ------------------------------------------------------------------------

local function awaited(world, number)
  local entry = world:pick(world.tasks, number)
  if entry and number % 2 == 0 then
    world.oracle.copies = true
    return entry.task
  end
  local future = world:pick(world.futures, number)
  if not future then
    future = zmqloop.Future(world.loop)
    world.futures[#world.futures + 1] = future
  end
  return future
end

waiting_act("sleep", function(world, number)
  check(world:call(true, zmqloop.sleep, number % 3 / 1000))
end)

waiting_act("await", function(world, number)
  local it = awaited(world, number)
  check(world:call(true, it.await, it, (1 + number % 3) / 1000))
end)

waiting_act("await shielded", function(world, number)
  check(world:call(true, zmqloop.with_timeout, 0.002, zmqloop.shield(awaited(world, number))))
end)

waiting_act("gather", function(world, number)
  local list = {zmqloop.shield(awaited(world, number)), zmqloop.shield(awaited(world, number + 1))}
  world.loop:call_later(0.002, function()
    for _, each in ipairs(list) do each:cancel() end
  end)
  check(world:call(true, zmqloop.gather, list))
end)

waiting_act("await as completed", function(world, number)
  local future = zmqloop.Future(world.loop)
  world.loop:call_later(number % 3 / 1000, function() future:set_result(1) end)
  local next_one = check(world:call(true, zmqloop.as_completed, {future}))
  check(world:call(true, next_one))
end)

act("finish a future", function(world, number)
  local future = world:pick(world.futures, number)
  if not future or future:done() then return end
  if number % 3 == 0 then future:cancel() else future:set_result(number) end
end)

act("cancel a task", function(world, number)
  local entry = world:pick(world.tasks, number)
  if entry then check(world:call(false, entry.task.cancel, entry.task)) end
end)

act("spawn", function(world, number)
  world:keep(check(world:call(false, world.loop.spawn, world.loop, function()
    world:enter()
    zmqloop.sleep(number % 3 / 1000)
    return number
  end)))
end)

act("run the loop for a function", function(world, number)
  if not world:can_run() then return end
  check(world:call(false, world.loop.run_sync, world.loop, function()
    world:enter()
    zmqloop.sleep(number % 3 / 1000)
  end, 1))
end)

-- ---- memory and processes ---------------------------------------------------------------------

act("collect garbage", function() collectgarbage() end)

act("run short of memory", function(world, number)
  if memory.available then world.to_fail = 1 + number % 60 end
end)

-- What a child may do: be told, and close.
local function in_child(world)
  local loop = world.loop
  local ok, err = pcall(loop.step, loop, 0)
  assert(not ok, "a loop ran in a child")
  assert(tostring(err):find("ECHILD") or tostring(err):find("already running"), tostring(err))
  for _, link in ipairs(world.links) do
    pcall(link.send_now, link)
    link.out:close()
    link.into:close()
  end
  loop:add_callback(function() end)
  loop:stop()
  pcall(loop.close, loop) -- not inside a callback of its own
end

act("fork", function(world)
  if world.forks == 2 then return end -- they take long
  world.forks = (world.forks or 0) + 1
  world.oracle:check(require("elsewhere").process(function() in_child(world) end),
    "a child has failed")
end)

return acts
