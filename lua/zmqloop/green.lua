--- zmqloop.green: zmqloop.zmq for tasks.
-- The same names. What waits there suspends only the task that calls it here: send, recv,
-- send_multipart and recv_multipart of sockets, poll of sockets and pollers, proxy and device. Any
-- number of tasks may wait for one socket; they are served first in, first out. Outside of tasks
-- and callbacks these run IOLoop.current() until they are done.
local core = require("zmqloop.core")
local future = require("zmqloop.future")
local ioloop = require("zmqloop.ioloop")
local task = require("zmqloop.task")
local watch = require("zmqloop.watch")
local zmq = require("zmqloop.zmq")

local misuse = core.misuse
local IOLoop, Watch = core.IOLoop, watch.Watch
local can_wait, current_task, is_outside = task.can_wait, task.current_task, task.is_outside
local plain = core.Socket
local plain_recv, plain_recv_multipart = plain.recv, plain.recv_multipart
local plain_send, plain_send_multipart = plain.send, plain.send_multipart
local DONTWAIT, EAGAIN = zmq.DONTWAIT, zmq.EAGAIN

local green = setmetatable({}, {__index = zmq})

green.ioloop = ioloop
green.zmqstream = require("zmqloop.zmqstream")

-- ---- sockets ---------------------------------------------------------------------------------

-- A socket of zmqloop.zmq, with these methods before those.
local Socket = setmetatable({
  watch = false, -- where tasks have waited for it last
  rcvtimeo = false, -- milliseconds, once they were asked for
  sndtimeo = false,
  more = false, -- the last frame sent is not the last of its message
}, {__index = plain})
Socket.__index = Socket

green.Socket = Socket

-- How often in a row something may be had without waiting.
local AT_ONCE_MOST = 256

local at_once = AT_ONCE_MOST -- how often still

-- What comes is to wait in line, if it can: others have their turn then.
local function is_turn_over()
  at_once = AT_ONCE_MOST
  return can_wait()
end

-- The flags, or options with flags, of an attempt, and whether it is to be the only one. What is
-- neither is for the attempt to refuse.
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
  for name, value in pairs(flags) do
    options[name] = value
  end
  local only
  options.flags, only = of_attempt(flags.flags or 0)
  return options, only
end

-- The options that tell how long to wait are asked for once, and again after any was set.
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
  self.rcvtimeo, self.sndtimeo = false, false
  return plain.set(self, ...)
end

Socket.setsockopt = Socket.set

-- In line, in the time that the socket's option gives.
local function wait(self, method, line, option, attempt, a, b)
  if is_outside() then
    return IOLoop.current():run_sync(function()
      return wait(self, method, line, option, attempt, a, b)
    end)
  end
  local waiting = current_task(method)
  local milliseconds = milliseconds_of(self, option)
  if milliseconds == 0 then
    return attempt(self, a, b)
  end
  local place = self.watch
  if not place or not place.events or place.loop ~= waiting.loop then
    place = Watch.of(waiting.loop, self)
    self.watch = place
  end
  local result, message, name = place:wait(waiting, line,
    milliseconds > 0 and milliseconds / 1000 or nil, attempt, a, b)
  if result then
    return result
  elseif result == false then
    return core.failure(EAGAIN)
  end
  return nil, message, name
end

-- Whether to try it before waiting: nobody waits in the line, and the task's turn is not over.
local function may_try(self, line)
  local place = self.watch
  at_once = at_once - 1
  return not (place and place[line].first or at_once < 0 and is_turn_over())
end

--- Receives one frame, as zmq's Socket:recv(); waits as long as the option `rcvtimeo` says, unless
-- flags has DONTWAIT. After that, and if the socket is closed meanwhile, returns nil, message,
-- "EAGAIN" or "ENOTSOCK".
function Socket:recv(flags, copy)
  local attempt_flags, only = of_attempt(flags)
  if only or may_try(self, "readers") then
    local frame, message, name = plain_recv(self, attempt_flags, copy)
    if frame then
      return frame
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  end
  return wait(self, "recv", "readers", "rcvtimeo", plain_recv, attempt_flags, copy)
end

--- Receives a whole message, a list of frames; see recv().
function Socket:recv_multipart(flags, copy)
  local attempt_flags, only = of_attempt(flags)
  if only or may_try(self, "readers") then
    local frames, message, name = plain_recv_multipart(self, attempt_flags, copy)
    if frames then
      return frames
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  end
  return wait(self, "recv_multipart", "readers", "rcvtimeo", plain_recv_multipart, attempt_flags,
    copy)
end

local balancing = {[zmq.PUSH] = true, [zmq.DEALER] = true, [zmq.REQ] = true}

-- The peer went away after the first frames of a message, of which libzmq drops the rest, too, in
-- the types that balance load. It does so silently where it may block.
local function is_dropped(self)
  return self.more and balancing[plain.get(self, "type")]
end

--- Sends one frame, as zmq's Socket:send(); waits as long as the option `sndtimeo` says, unless the
-- flags have DONTWAIT. After that, and if the socket is closed meanwhile, returns nil, message,
-- "EAGAIN" or "ENOTSOCK", and nothing was sent.
function Socket:send(data, flags)
  local attempt_flags, only = of_attempt(flags)
  if only or may_try(self, "writers") then
    local sent, message, name = plain_send(self, data, attempt_flags)
    if sent or name == "EAGAIN" and is_dropped(self) then
      if flags ~= nil or self.more then
        local number = type(attempt_flags) == "table" and attempt_flags.flags or attempt_flags
        self.more = number >= zmq.SNDMORE
      end
      return sent or true
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  end
  return wait(self, "send", "writers", "sndtimeo", plain_send, data, attempt_flags)
end

--- Sends a list of frames as one message; see send().
function Socket:send_multipart(frames, flags)
  local attempt_flags, only = of_attempt(flags)
  if only or may_try(self, "writers") then
    local sent, message, name = plain_send_multipart(self, frames, attempt_flags)
    if sent then
      return sent
    elseif only or name ~= "EAGAIN" then
      return nil, message, name
    end
  end
  return wait(self, "send_multipart", "writers", "sndtimeo", plain_send_multipart, frames,
    attempt_flags)
end

-- ---- polling ---------------------------------------------------------------------------------

-- Seconds of a wait, which poll() was given in milliseconds; nil: for ever.
local function seconds_of(milliseconds)
  return milliseconds and milliseconds >= 0 and milliseconds / 1000 or nil
end

-- Waits for the list of {object, events}.
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

--- Waits until the socket is ready, as zmq's Socket:poll(): at most so many milliseconds (nil or
-- negative: for ever). Returns events, or 0 when the time is up.
function Socket:poll(milliseconds, events)
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

--- Waits until something is ready, as zmq's Poller:poll(). What is registered may be sockets of
-- either module, and descriptors. What is registered or not during the wait makes no difference to
-- it.
function Poller:poll(milliseconds)
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

--- Makes a poller, which watches nothing yet.
function Poller.new()
  return setmetatable(zmq.Poller.new(), Poller)
end

getmetatable(Poller).__call = function() return Poller.new() end

green.Poller = Poller

-- ---- contexts --------------------------------------------------------------------------------

local Context = setmetatable({socket_class = Socket}, {__index = core.Context})
Context.__index = Context

--- As zmq.Context; its sockets are green. instance() is another one than zmq.Context's.
green.Context = zmq.Context.derive(Context)

-- ---- relays ----------------------------------------------------------------------------------

-- Passes messages on until that fails; returns nil, message, name. A socket that never receives has
-- nothing to pass on: poll() waits for ever.
local function relay(from, to, capture)
  while true do
    local ready, message, name = from:poll(nil, zmq.POLLIN)
    local frames, sent
    if ready then
      frames, message, name = from:recv_multipart(0, false)
    end
    if frames and capture then
      sent, message, name = capture:send_multipart(frames)
      frames = sent and frames
    end
    if frames then
      sent, message, name = to:send_multipart(frames)
    end
    if not frames or not sent then
      return nil, message, name
    end
  end
end

-- Relays both ways, or if it is one socket from that to itself.
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
    misuse(("bad argument #%d to '%s' (green socket expected, got %s)"):format(argument, method,
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
-- them fails: when it is closed, or its context ends. Returns that failure: nil, message, name. As
-- zmq.proxy(), which blocks.
function green.proxy(frontend, backend, capture)
  check_green("proxy", 1, frontend)
  check_green("proxy", 2, backend)
  if capture ~= nil then
    check_green("proxy", 3, capture)
  end
  return run_relay(frontend, backend, capture)
end

--- The same by the name of PyZMQ. `type` is zmq.QUEUE, zmq.FORWARDER or zmq.STREAMER, which all do
-- the same; without `outgoing` what comes in is sent out by the same socket.
function green.device(type, incoming, outgoing)
  if type ~= zmq.QUEUE and type ~= zmq.FORWARDER and type ~= zmq.STREAMER then
    misuse(("bad argument #1 to 'device' (QUEUE, FORWARDER or STREAMER expected, got %s)"):format(
      tostring(type)))
  end
  check_green("device", 2, incoming)
  if outgoing ~= nil then
    check_green("device", 3, outgoing)
  end
  return run_relay(incoming, outgoing or incoming)
end

return green
