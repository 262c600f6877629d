--- zmqloop.green: zmqloop.zmq for tasks.
-- The same names. Calls that may wait suspend only the calling task: send, recv, send_multipart
-- and recv_multipart of sockets, poll of sockets and pollers, proxy and device. Any number of
-- tasks may wait for one socket; they are served first in, first out. Outside tasks and callbacks
-- these calls run IOLoop.current() until they are done.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("green") then
  return classes.registered("green")
end

local check = require("zmqloop.check")
local future = require("zmqloop.async.future")
local ioloop = require("zmqloop.ioloop")
local owner = require("zmqloop.async.message_owner")
local task = require("zmqloop.async.task")
local watch = require("zmqloop.async.watch")
local zmq = require("zmqloop.zmq")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local IOLoop, Watch, HELD = core.IOLoop, watch.Watch, watch.HELD
local can_wait, current_task, is_outside = task.can_wait, task.task_to_suspend, task.is_outside
local who_runs, is_held, free = task.who_runs, owner.is_held, owner.free
local plain = core.Socket
local plain_recv_multipart = plain.recv_multipart
local plain_send, plain_send_multipart = plain.send, plain.send_multipart
local send_part, recv_part = core.send_part, core.recv_part
local DONTWAIT, SNDMORE, EAGAIN = zmq.DONTWAIT, zmq.SNDMORE, zmq.EAGAIN

local green = setmetatable({}, {__index = zmq})

green.ioloop = ioloop
green.zmqstream = require("zmqloop.zmqstream")

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "userdata" then
    core.bad_self(method, class, self)
  end
end

-- ---- sockets ---------------------------------------------------------------------------------

-- A socket of zmqloop.zmq, with some methods overridden.
local Socket = setmetatable({
  watch = false, -- the last watch in which a task waited
  rcvtimeo = false, -- milliseconds, once known
  sndtimeo = false,
  sender = false, -- the owner of a message sent in parts; see zmqloop.async.message_owner
  receiver = false, -- the owner of one received in parts
  held_up = false, -- watch -> true: tasks wait there for the end of such a message
}, {__index = plain})
Socket.__index = Socket

green.Socket = Socket

-- How many operations in a row may succeed without waiting.
local AT_ONCE_MOST = 256

local at_once = AT_ONCE_MOST -- how many are left

-- The next operation must queue, if it can wait, so that others get their turn.
local is_untried = false -- the operation about to wait

local function is_turn_over()
  at_once = AT_ONCE_MOST
  is_untried = can_wait() or false
  return is_untried
end

-- Returns the flags, or options with flags, for an attempt, and whether it is the only attempt
-- (DONTWAIT). The attempt refuses a value that is neither.
local function of_attempt(flags)
  if flags == nil then
    return DONTWAIT, false
  elseif type(flags) == "number" then
    local only = flags % (2 * DONTWAIT) >= DONTWAIT
    return only and flags or flags + DONTWAIT, only
  elseif type(flags) ~= "table" then
    return flags, true
  end
  local options = {}
  for name, value in pairs_of(flags) do
    options[name] = value
  end
  local only
  options.flags, only = of_attempt(flags.flags or 0)
  return options, only
end

-- rcvtimeo or sndtimeo, read once, and again after an option was set.
local function milliseconds_of(self, option)
  local milliseconds = self[option]
  if not milliseconds then
    milliseconds = plain.get(self, option)
    self[option] = milliseconds
  end
  return milliseconds
end

--- As zmq's Socket:set().
function Socket:set(...)
  check_self(self, "socket", "set")
  self.rcvtimeo, self.sndtimeo = false, false
  return plain.set(self, ...)
end

Socket.setsockopt = Socket.set

--- As zmq's Socket:get(); "rcvmore" is about the last part that this task received.
function Socket:get(option, ...)
  check_self(self, "socket", "get")
  if self.receiver and (option == "rcvmore" or option == zmq.RCVMORE)
    and self.receiver ~= who_runs() then
    return 0
  end
  return plain.get(self, option, ...)
end

Socket.getsockopt = Socket.get

-- Was the operation not tried because the socket is not ready? The operation may fail at once, for
-- example with EFSM, and the socket may never become ready.
local function never_ready(self, line)
  is_untried = false
  return plain.poll(self, 0, line == "readers" and zmq.POLLIN or zmq.POLLOUT) == 0
end

-- Queues the running task until the attempt succeeds, for at most the socket's timeout option.
-- `who` is given if the part may be the first or last one of a message.
local function wait(self, method, line, option, attempt, a, b, who)
  if is_outside() then
    return IOLoop.current():run_sync(function()
      return wait(self, method, line, option, attempt, a, b, who)
    end)
  end
  local waiting = current_task(method)
  local milliseconds = milliseconds_of(self, option)
  local result, message, name
  if milliseconds == 0 or is_untried and never_ready(self, line) then
    result, message, name = attempt(self, a, b)
  end
  if milliseconds ~= 0 and not result and (not name or name == "EAGAIN" or name == HELD) then
    local place = self.watch
    if not place or not place.events or place.loop ~= waiting.loop then
      place = Watch.of(waiting.loop, self)
      self.watch = place
    end
    result, message, name = place:wait(waiting, line,
      milliseconds > 0 and milliseconds / 1000 or nil, attempt, a, b)
  end
  if result then
    if who then
      owner.note(self, watch.SIDES[line], who)
    end
    return result
  elseif result == false or name == HELD then
    return core.failure(EAGAIN)
  end
  return nil, message, name
end

-- Whether to try before waiting: if the queue is empty, and the task's turn is not over.
local function may_try(self, line)
  local place = self.watch
  at_once = at_once - 1
  return not (place and place[line].first or at_once < 0 and is_turn_over())
end

-- ---- receiving -------------------------------------------------------------------------------

-- The attempts for queued tasks.

local function try_part(self, flags, copy)
  if is_held(self, "receiver", false) then
    return nil, nil, HELD
  end
  return recv_part(self, flags, copy)
end

local function try_message(self, flags, copy)
  if is_held(self, "receiver", true) then
    return nil, nil, HELD
  end
  return plain_recv_multipart(self, flags, copy)
end

-- Whether to try before waiting.
local function may_receive(self, only, is_whole, who)
  if not self.receiver then
    return only or may_try(self, "readers")
  elseif owner.is_mine(self, "receiver", who) then
    return true -- the whole message is here
  elseif is_held(self, "receiver", is_whole) then
    return false
  end
  return only or may_try(self, "readers")
end

--- Receives one frame, like zmq's Socket:recv(); waits as long as the option `rcvtimeo` says,
-- unless flags include DONTWAIT. After that returns nil, message, "EAGAIN"; if the socket is
-- closed meanwhile, "ENOTSOCK". While get("rcvmore") is 1 the rest of the message belongs to this
-- task, and others wait. If the task returns first, the next recv() of any task gets the rest; if
-- it fails or is cancelled, the rest is dropped.
function Socket:recv(flags, copy)
  check_self(self, "socket", "recv")
  local attempt_flags, only = of_attempt(flags)
  local who = who_runs()
  if may_receive(self, only, false, who) then
    self.receiver = who -- first, since this may need memory
    local frame, more, name = recv_part(self, attempt_flags, copy)
    if not frame or not more then
      free(self, "receiver")
    end
    if frame then
      return frame
    elseif only or name ~= "EAGAIN" then
      return nil, more, name
    end
  elseif only then
    return core.failure(EAGAIN)
  end
  return wait(self, "recv", "readers", "rcvtimeo", try_part, attempt_flags, copy, who)
end

--- Receives a whole message as a list of frames, or the rest of the one that this task has begun to
-- receive; see recv().
function Socket:recv_multipart(flags, copy)
  check_self(self, "socket", "recv_multipart")
  local attempt_flags, only = of_attempt(flags)
  if may_receive(self, only, true, self.receiver and who_runs()) then
    local frames, message, name = plain_recv_multipart(self, attempt_flags, copy)
    if frames then
      if self.receiver then
        free(self, "receiver")
      end
      return frames
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  elseif only then
    return core.failure(EAGAIN)
  end
  return wait(self, "recv_multipart", "readers", "rcvtimeo", try_message, attempt_flags, copy)
end

-- ---- sending ---------------------------------------------------------------------------------

-- The attempt for a queued task.
local function of_line(attempt)
  return function(self, data, flags)
    if is_held(self, "sender") then
      return nil, nil, HELD
    end
    return attempt(self, data, flags)
  end
end

local try_send, try_send_multipart = of_line(plain_send), of_line(plain_send_multipart)
local try_begin = of_line(send_part)

local function has_more(flags)
  if type(flags) == "table" then
    flags = flags.flags
  end
  return type(flags) == "number" and flags >= SNDMORE
end

-- Sends further parts of the message that this task has begun. They are kept; only the last one may
-- have to wait, ahead of all other messages.
local function go_on(self, method, data, flags, only, who)
  local sent, message, name = send_part(self, data, flags)
  if name == "EAGAIN" and not only then
    sent, message, name = wait(self, method, "enders", "sndtimeo", send_part, data, flags)
  end
  if sent and has_more(flags) then
    return sent
  elseif sent then
    free(self, "sender")
  elseif name == "EAGAIN" then
    owner.abandon(self)
  elseif not self:closed() then
    owner.note(self, "sender", who)
  end
  return sent, message, name
end

-- The first parts of a message.
local function begin(self, method, data, flags, only, who)
  self.sender = who -- first, since this may need memory
  if only or may_try(self, "writers") then
    local sent, message, name = send_part(self, data, flags)
    if sent or only or name ~= "EAGAIN" then
      return sent, message, name
    end
  end
  return wait(self, method, "writers", "sndtimeo", try_begin, data, flags, who)
end

-- Sends parts of a message if others follow or came before. Returns nothing for a whole message.
local function send_parts(self, method, data, flags, only, attempt)
  local who = who_runs()
  if owner.is_mine(self, "sender", who) then
    return go_on(self, method, data, flags, only, who)
  elseif is_held(self, "sender") then
    if only then
      return core.failure(EAGAIN)
    end
    return wait(self, method, "writers", "sndtimeo", has_more(flags) and try_begin or attempt, data,
      flags, who)
  elseif has_more(flags) then
    return begin(self, method, data, flags, only, who)
  end
end

-- Sends a whole message, or parts of one.
local function send(self, method, plain_method, attempt, data, flags)
  local attempt_flags, only = of_attempt(flags)
  if self.sender or flags ~= nil and has_more(attempt_flags) then
    local sent, message, name = send_parts(self, method, data, attempt_flags, only, attempt)
    if sent or name then
      return sent, message, name
    end
  end
  if only or may_try(self, "writers") then
    local sent, message, name = plain_method(self, data, attempt_flags)
    if sent then
      return sent
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  end
  return wait(self, method, "writers", "sndtimeo", attempt, data, attempt_flags)
end

--- Sends one frame, like zmq's Socket:send(); waits as long as the option `sndtimeo` says, unless
-- the flags include DONTWAIT. After that returns nil, message, "EAGAIN"; if the socket was closed,
-- "ENOTSOCK". Then nothing was sent.
--
-- With SNDMORE the next frame that this task sends belongs to the same message, and others wait
-- for its end. The last frame sends the message, whole or not at all: if that fails, or the task
-- ends first, nothing was sent; start again with the first frame.
function Socket:send(data, flags)
  check_self(self, "socket", "send")
  return send(self, "send", plain_send, try_send, data, flags)
end

--- Sends a list of frames as one message; see send().
function Socket:send_multipart(frames, flags)
  check_self(self, "socket", "send_multipart")
  return send(self, "send_multipart", plain_send_multipart, try_send_multipart, frames, flags)
end

-- ---- polling ---------------------------------------------------------------------------------

-- The timeout of poll(), given in milliseconds, in seconds; nil: for ever.
local function seconds_of(milliseconds)
  return milliseconds and milliseconds >= 0 and milliseconds / 1000 or nil
end

-- Waits for the objects, a list of {object, events}.
local function wait_for(objects, milliseconds, attempt, a, b)
  if is_outside() then
    return IOLoop.current():run_sync(function()
      return wait_for(objects, milliseconds, attempt, a, b)
    end)
  end
  return watch.poll(current_task("poll"), objects, seconds_of(milliseconds), attempt, a, b)
end

local function poll_socket(self, events)
  local ready, message, name = plain.poll(self, 0, events)
  if ready == 0 then
    return nil, nil, "EAGAIN"
  end
  return ready, message, name
end

--- Waits until the socket is ready, like zmq's Socket:poll(), for at most this many milliseconds
-- (nil or negative: for ever). Returns events, or 0 on timeout.
function Socket:poll(milliseconds, events)
  check_self(self, "socket", "poll")
  if milliseconds ~= nil and type(milliseconds) ~= "number" or milliseconds == 0 then
    return plain.poll(self, milliseconds, events) -- which does not wait, or raises
  end
  local ready, message, name = poll_socket(self, events)
  at_once = at_once - 1
  if name == "EAGAIN" or at_once < 0 and is_turn_over() then
    local objects = {{self, events or zmq.POLLIN}}
    ready, message, name = wait_for(objects, milliseconds, poll_socket, self, events)
  end
  if ready then
    return ready
  elseif ready == false then
    return 0
  end
  return nil, message, name
end

local Poller = setmetatable({}, {__index = zmq.Poller})
Poller.__index = Poller
Poller.__tostring = zmq.Poller.__tostring

local function poll_entries(entries)
  local ready, message, name = core.poll_items(entries, 0)
  if ready and #ready == 0 then
    return nil, nil, "EAGAIN"
  end
  return ready, message, name
end

--- Waits until something is ready, like zmq's Poller:poll(). Sockets of either module and
-- descriptors may be registered. Registering or unregistering does not affect a wait in progress.
function Poller:poll(milliseconds)
  if type(self) ~= "table" or not self.entries then
    core.bad_self("poll", "Poller", self)
  end
  if milliseconds ~= nil and type(milliseconds) ~= "number" or milliseconds == 0 then
    return core.poll_items(self.entries, milliseconds) -- which does not wait, or raises
  end
  local ready, message, name = poll_entries(self.entries)
  at_once = at_once - 1
  if name == "EAGAIN" or at_once < 0 and is_turn_over() then
    local entries, objects = {}, {}
    for i, entry in ipairs(self.entries) do
      entries[i], objects[i] = entry, {entry[3] or entry[1], entry[2]}
    end
    ready, message, name = wait_for(objects, milliseconds, poll_entries, entries)
  end
  if ready then
    return ready
  elseif ready == false then
    return {}
  end
  return nil, message, name
end

--- Creates an empty poller.
function Poller.new()
  return setmetatable(zmq.Poller.new(), Poller)
end

getmetatable(Poller).__call = function() return Poller.new() end

green.Poller = Poller

-- ---- contexts --------------------------------------------------------------------------------

local Context = setmetatable({socket_class = Socket}, {__index = core.Context})
Context.__index = Context

--- Like zmq.Context, but its sockets are green. instance() differs from zmq.Context's.
green.Context = zmq.Context.derive(Context)

-- ---- relays ----------------------------------------------------------------------------------

-- Seconds until the next attempt if other code has taken the message or is in the middle of one.
local TAKEN_SECONDS = 0.005

-- Returns a copy of the list of {socket, events} in which ready sockets have 0 as events, so that
-- they are watched only for being closed; and how many are not ready. Or nil, message, name.
local function look_at(list)
  local objects, missing = {}, 0
  for i, entry in ipairs(list) do
    local socket, events = entry[1], entry[2]
    if socket:closed() then
      return core.failure(core.constants.ENOTSOCK)
    end
    local ready, message, name = true, nil, nil
    if events ~= 0 then
      ready, message, name = poll_socket(socket, events)
    end
    if not ready and name ~= "EAGAIN" then
      return nil, message, name
    end
    missing = missing + (ready and 0 or 1)
    objects[i] = {socket, ready and 0 or events}
  end
  return objects, missing
end

-- The attempt of wait_for_all(): EAGAIN until another of them is ready.
local function try_another(list, missing)
  local objects, now, name = look_at(list)
  if objects and now == missing then
    return nil, nil, "EAGAIN"
  end
  return objects, now, name
end

-- Waits until all in the list are ready at the same time. Returns true, or nil, message, name.
local function wait_for_all(list)
  at_once = at_once - 1
  if at_once < 0 and is_turn_over() then
    task.sleep(0)
  end
  local objects, missing, name = look_at(list)
  while objects and missing > 0 do
    objects, missing, name = watch.poll(current_task("proxy"), objects, nil, try_another, list,
      missing)
    if objects then
      objects, missing, name = look_at(list)
    end
  end
  return objects and true, missing, name
end

-- Sends a received message, which cannot be put back. This has to wait only for a ROUTER with
-- router_mandatory, or if the sink is shared with other code.
local function pass_on(frames, sinks)
  for _, sink in ipairs(sinks) do
    local sent, message, name = sink:send_multipart(frames, DONTWAIT)
    if name == "EAGAIN" then
      sent, message, name = sink:send_multipart(frames)
    end
    if not sent then
      return nil, message, name
    end
  end
  return true
end

-- Relays messages until a failure; returns nil, message, name. A message is received only when it
-- can be sent; until then it stays in its socket, even if the task is cancelled. `capture` gets it
-- before `to`. With a socket that never receives this waits for ever.
local function relay(from, to, capture)
  local sinks = capture and {capture, to} or {to}
  local awaited = {{from, zmq.POLLIN}}
  for _, sink in ipairs(sinks) do
    -- A REP that answers itself can do so only when it has received.
    local is_own_reply = sink == from and plain.get(from, "type") == zmq.REP
    awaited[#awaited + 1] = {sink, is_own_reply and 0 or zmq.POLLOUT}
  end
  while true do
    local ok, message, name = wait_for_all(awaited)
    local frames
    if ok then
      frames, message, name = from:recv_multipart(DONTWAIT, false)
    end
    if frames then
      ok, message, name = pass_on(frames, sinks)
    elseif name == "EAGAIN" then
      task.sleep(TAKEN_SECONDS)
    else
      ok = nil
    end
    if not ok then
      return nil, message, name
    end
  end
end

-- Relays both ways; or from the socket to itself, if both are the same.
local function relay_all(frontend, backend, capture)
  local loop = current_task("proxy").loop
  local done = future.Future(loop)
  local tasks = {loop:spawn(relay, frontend, backend, capture)}
  if frontend ~= backend then
    tasks[2] = loop:spawn(relay, backend, frontend, capture)
  end
  local function stop()
    for _, each in ipairs(tasks) do
      each:cancel()
    end
  end
  done.on_cancel = stop
  for _, each in ipairs(tasks) do
    each:add_done_callback(function(ended)
      if not done:done() then
        done:set_result(ended)
        stop()
      end
    end)
  end
  return done:await():result()
end

local function check_green(method, argument, value)
  if not core.is_socket(value) or value.recv_multipart ~= Socket.recv_multipart then
    check.bad(method, argument, ("green socket expected, got %s"):format(
      core.is_socket(value) and "one of zmqloop.zmq" or type(value)))
  end
end

local function run_relay(frontend, backend, capture)
  if is_outside() then
    return IOLoop.current():run_sync(function() return relay_all(frontend, backend, capture) end)
  end
  return relay_all(frontend, backend, capture)
end

--- Passes messages between the sockets, both ways, and copies of them to `capture`, until one of
-- the sockets fails because it is closed or its context ends. Returns that failure: nil, message,
-- name. Like zmq.proxy(), which blocks.
function green.proxy(frontend, backend, capture)
  check_green("proxy", 1, frontend)
  check_green("proxy", 2, backend)
  if capture ~= nil then
    check_green("proxy", 3, capture)
  end
  return run_relay(frontend, backend, capture)
end

local function got(value)
  return type(value) == "string" and ("'%s'"):format(value) or tostring(value)
end

--- The same under PyZMQ's name. `type` is zmq.QUEUE, zmq.FORWARDER or zmq.STREAMER, which all do
-- the same; without `outgoing`, messages are sent back on the socket that received them.
function green.device(type, incoming, outgoing)
  if type ~= zmq.QUEUE and type ~= zmq.FORWARDER and type ~= zmq.STREAMER then
    check.bad("device", 1, ("QUEUE, FORWARDER or STREAMER expected, got %s"):format(got(type)))
  end
  check_green("device", 2, incoming)
  if outgoing ~= nil then
    check_green("device", 3, outgoing)
  end
  return run_relay(incoming, outgoing or incoming)
end

return classes.register("green", green)
