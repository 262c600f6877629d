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

local ioloop = require("zmqloop.ioloop")
local operation = require("zmqloop.async.operation")
local owner = require("zmqloop.async.message_owner")
local relay = require("zmqloop.async.relay")
local task = require("zmqloop.async.task")
local watch = require("zmqloop.async.watch")
local zmq = require("zmqloop.zmq")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local Watch, HELD = watch.Watch, operation.HELD
local perform, in_task, is_turn_over = operation.perform, operation.in_task, operation.is_turn_over
local current_task, who_runs = task.task_to_suspend, task.who_runs
local is_held, is_mine, free = owner.is_held, owner.is_mine, owner.free
local plain = core.Socket
local plain_recv_multipart = plain.recv_multipart
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
  place_ = false, -- the last watch in which a task waited; see zmqloop.async.operation
  rcvtimeo = false, -- milliseconds, once known
  sndtimeo = false,
  sender = false, -- the owner of a message sent in parts; see zmqloop.async.message_owner
  receiver = false, -- the owner of one received in parts
  held_up = false, -- watch -> true: tasks wait there for the end of such a message
}, {__index = plain})
Socket.__index = Socket

green.Socket = Socket

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

-- ---- kinds of operations ----------------------------------------------------------------------

-- What they attempt. `who` owns the message, if the part is not the whole of it; for a waiting task
-- that is noted when it is resumed.

local function receive_part(self, flags, copy, who)
  if who then
    self.receiver = who -- first, since this may need memory
  end
  local frame, more, name = recv_part(self, flags, copy)
  if who and not (frame and more) then
    free(self, "receiver")
  end
  if frame then
    return frame
  end
  return nil, more, name
end

-- A whole message, or the rest of the one that `who` owns.
local function receive_message(self, flags, copy, who)
  local frames, message, name = plain_recv_multipart(self, flags, copy)
  if frames and who then
    free(self, "receiver")
  end
  return frames, message, name
end

-- The first parts of a message.
local function begin_message(self, data, flags, who)
  if who then
    self.sender = who -- first, since this may need memory
  end
  return send_part(self, data, flags)
end

-- The same, unless another task is in the middle of a message.
local function unless_held(attempt, side, is_whole)
  return function(self, a, b, who)
    if is_held(self, side, who, is_whole) then
      return nil, nil, HELD
    end
    return attempt(self, a, b, who)
  end
end

local function place_of(self, waiting)
  local place = self.place_
  if not place then
    self.sender, self.receiver = self.sender, self.receiver -- makes room for owner.note()
  end
  if not place or not place.events or place.loop ~= waiting.loop then
    place = Watch.of(waiting.loop, self)
    self.place_ = place
  elseif self.held_up then
    place:recheck()
  end
  return place
end

-- rcvtimeo or sndtimeo, which is read once, and again after an option was set.
local function read_timeout(self, option)
  local milliseconds = plain.get(self, option)
  self[option] = milliseconds
  return milliseconds
end

local function late()
  return core.failure(EAGAIN)
end

-- A kind for zmqloop.async.operation, which waits in a line of the socket's watch for as long as an
-- option says. now() is the attempt if it is known that no task is in the middle of a message.
local function new_kind(method, line, option, now, is_whole)
  local side = watch.SIDES[line]
  local events = side == "receiver" and zmq.POLLIN or zmq.POLLOUT
  return {
    method = method,
    line = line,
    now = now,
    attempt = line == "enders" and now or unless_held(now, side, is_whole),
    place = place_of,
    late = late,
    seconds = function(self)
      local milliseconds = self[option] or read_timeout(self, option)
      if milliseconds == 0 then
        return false
      end
      return milliseconds > 0 and milliseconds / 1000 or nil
    end,
    note = function(self, who) owner.note(self, side, who) end,
    is_ready = line ~= "enders" -- the others wait for it
      and function(self) return plain.poll(self, 0, events) ~= 0 end or nil,
  }
end

local operations = {
  recv = new_kind("recv", "readers", "rcvtimeo", receive_part, false),
  recv_multipart = new_kind("recv_multipart", "readers", "rcvtimeo", receive_message, true),
}

-- Those of send() and of send_multipart(). Parts are kept in the socket; only the last one may have
-- to wait, ahead of all other messages.
for _, method in ipairs{"send", "send_multipart"} do
  operations[method] = {
    whole = new_kind(method, "writers", "sndtimeo", plain[method]),
    first = new_kind(method, "writers", "sndtimeo", begin_message),
    further = new_kind(method, "enders", "sndtimeo", send_part),
  }
end

-- ---- receiving -------------------------------------------------------------------------------

local function receive(self, kind, flags, copy, who)
  local attempt_flags, only = of_attempt(flags)
  if not self.receiver then
    return perform(kind, self, kind.now, only, attempt_flags, copy, who)
  elseif is_mine(self, "receiver", who) then
    return kind.now(self, attempt_flags, copy, who) -- all of the message is here
  end
  return perform(kind, self, kind.attempt, only, attempt_flags, copy, who)
end

--- Receives one frame, like zmq's Socket:recv(); waits as long as the option `rcvtimeo` says,
-- unless flags include DONTWAIT. After that returns nil, message, "EAGAIN"; if the socket is
-- closed meanwhile, "ENOTSOCK". While get("rcvmore") is 1 the rest of the message belongs to this
-- task, and others wait. If the task returns first, the next recv() of any task gets the rest; if
-- it fails or is cancelled, the rest is dropped.
function Socket:recv(flags, copy)
  check_self(self, "socket", "recv")
  local who = who_runs()
  if flags == nil and not self.receiver then -- the usual case
    return perform(operations.recv, self, receive_part, false, DONTWAIT, copy, who)
  end
  return receive(self, operations.recv, flags, copy, who)
end

--- Receives a whole message as a list of frames, or the rest of the one that this task has begun to
-- receive; see recv().
function Socket:recv_multipart(flags, copy)
  check_self(self, "socket", "recv_multipart")
  if flags == nil and not self.receiver then -- the usual case
    return perform(operations.recv_multipart, self, plain_recv_multipart, false, DONTWAIT, copy)
  end
  return receive(self, operations.recv_multipart, flags, copy, self.receiver and who_runs())
end

-- ---- sending ---------------------------------------------------------------------------------

local function has_more(flags)
  if type(flags) == "table" then
    flags = flags.flags
  end
  return type(flags) == "number" and flags >= SNDMORE
end

-- Sends further parts of the message that this task has begun.
local function go_on(self, further, only, data, flags, who)
  local sent, message, name = perform(further, self, further.now, only, data, flags)
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

-- Sends a whole message, or parts of one.
local function send(self, kinds, data, flags)
  if flags == nil and not self.sender then -- the usual case
    return perform(kinds.whole, self, kinds.whole.now, false, data, DONTWAIT)
  end
  local attempt_flags, only = of_attempt(flags)
  local is_part = has_more(attempt_flags)
  if not self.sender and not is_part then
    return perform(kinds.whole, self, kinds.whole.now, only, data, attempt_flags)
  end
  local who = who_runs()
  if is_mine(self, "sender", who) then
    return go_on(self, kinds.further, only, data, attempt_flags, who)
  end
  local first = is_part and kinds.first or kinds.whole
  return perform(first, self, first.attempt, only, data, attempt_flags, who)
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
  return send(self, operations.send, data, flags)
end

--- Sends a list of frames as one message; see send().
function Socket:send_multipart(frames, flags)
  check_self(self, "socket", "send_multipart")
  return send(self, operations.send_multipart, frames, flags)
end

-- ---- polling ---------------------------------------------------------------------------------

-- The timeout of poll(), given in milliseconds, in seconds; nil: for ever.
local function seconds_of(milliseconds)
  return milliseconds and milliseconds >= 0 and milliseconds / 1000 or nil
end

local function wait_for(objects, milliseconds, attempt, a, b)
  return watch.poll(current_task("poll"), objects, seconds_of(milliseconds), attempt, a, b)
end

-- Polls in one of these ways, by these functions:
--   attempt  (a, b): returns what is ready, or nil, message, name
--   objects  (a, b): returns the objects to wait for, a list of {object, events}, and an `a` that
--            does not change meanwhile
--   none     (): the result on timeout
local function poll(way, milliseconds, a, b)
  local ready, message, name = way.attempt(a, b)
  if name == "EAGAIN" or is_turn_over() then
    local objects, kept = way.objects(a, b)
    ready, message, name = in_task(wait_for, objects, milliseconds, way.attempt, kept, b)
  end
  if ready then
    return ready
  elseif ready == false then
    return way.none()
  end
  return nil, message, name
end

local function poll_socket(self, events)
  local ready, message, name = plain.poll(self, 0, events)
  if ready == 0 then
    return nil, nil, "EAGAIN"
  end
  return ready, message, name
end

local of_socket = {
  attempt = poll_socket,
  objects = function(self, events) return {{self, events or zmq.POLLIN}}, self end,
  none = function() return 0 end,
}

--- Waits until the socket is ready, like zmq's Socket:poll(), for at most this many milliseconds
-- (nil or negative: for ever). Returns events, or 0 on timeout.
function Socket:poll(milliseconds, events)
  check_self(self, "socket", "poll")
  if milliseconds ~= nil and type(milliseconds) ~= "number" or milliseconds == 0 then
    return plain.poll(self, milliseconds, events) -- which does not wait, or raises
  end
  return poll(of_socket, milliseconds, self, events)
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

local function copy_entries(entries)
  local objects, copies = {}, {}
  for i, entry in ipairs(entries) do
    objects[i], copies[i] = {entry[3] or entry[1], entry[2]}, entry
  end
  return objects, copies
end

local of_poller = {
  attempt = poll_entries,
  objects = copy_entries,
  none = function() return {} end,
}

--- Waits until something is ready, like zmq's Poller:poll(). Sockets of either module and
-- descriptors may be registered. Registering or unregistering does not affect a wait in progress.
function Poller:poll(milliseconds)
  if type(self) ~= "table" or not self.entries then
    core.bad_self("poll", "Poller", self)
  end
  if milliseconds ~= nil and type(milliseconds) ~= "number" or milliseconds == 0 then
    return core.poll_items(self.entries, milliseconds) -- which does not wait, or raises
  end
  return poll(of_poller, milliseconds, self.entries)
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

green.proxy, green.device = relay.proxy, relay.device

return classes.register("green", green)
