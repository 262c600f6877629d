--- zmqloop.monitor: events of a socket's connections.
-- An event is a table:
--   event     its number, such as zmq.EVENT_CONNECTED
--   name      "CONNECTED"
--   value     what it means depends on the event: a descriptor (CONNECTED, LISTENING, ACCEPTED,
--             CLOSED, DISCONNECTED), an interval in milliseconds (CONNECT_RETRIED), the number of
--             an error (CONNECT_DELAYED, *_FAILED), of a protocol error, or a ZAP status (300,
--             400, 500); else 0
--   endpoint  the address
--   error     if the value is an error: its name, such as "ECONNREFUSED" or
--             "ZMTP_MECHANISM_MISMATCH"
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local ioloop = require("zmqloop.ioloop")
local zmqstream = require("zmqloop.zmqstream")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local misuse = core.misuse
local Socket = core.Socket

local PAIR = core.constants.PAIR
local STOPPED = core.constants.EVENT_MONITOR_STOPPED
local ALL = core.constants.EVENT_ALL

local names, numbers, protocol_errors = {}, {}, {}
for constant, number in pairs_of(core.constants) do
  local name = constant:match("^EVENT_(.*)$")
  if name and name ~= "ALL" then
    names[number], numbers[name] = name, number
  end
  local protocol_error = constant:match("^PROTOCOL_ERROR_(.*)$")
  if protocol_error then
    protocol_errors[number] = protocol_error
  end
end

-- The events whose value is an errno.
local fails = {
  CONNECT_DELAYED = true, BIND_FAILED = true, ACCEPT_FAILED = true, CLOSE_FAILED = true,
  HANDSHAKE_FAILED_NO_DETAIL = true,
}

local function error_of(name, value)
  if fails[name] and value ~= 0 then
    return core.error_name(value)
  elseif name == "HANDSHAKE_FAILED_PROTOCOL" then
    return protocol_errors[value]
  end
end

-- Is it what libzmq sends: two frames, the first of them event and value?
local function parse(frames)
  local first, endpoint = frames[1], frames[2]
  if #frames ~= 2 or type(first) ~= "string" or type(endpoint) ~= "string" then
    return nil
  end
  local event, value = core.parse_event(first)
  if not event then
    return nil
  end
  local name = names[event] or "UNKNOWN"
  return {
    event = event,
    name = name,
    value = value,
    endpoint = endpoint,
    error = error_of(name, value),
  }
end

--- Parses a message from a monitor's socket into an event.
-- Raises if it is not one. PyZMQ: `zmq.utils.monitor.parse_monitor_message`.
local function parse_monitor_message(frames)
  local event = type(frames) == "table" and parse(frames)
  if not event then
    check.bad("parse_monitor_message", 1, "not a message of a monitor")
  end
  return event
end

--- Receives the next event from a socket of get_monitor_socket(). Waits for it, unless flags are
-- zmq.DONTWAIT. Returns nil, message, name as `socket:recv_multipart` does.
local function recv_monitor_message(socket, flags)
  local frames, message, name = socket:recv_multipart(flags)
  if not frames then
    return frames, message, name
  end
  return parse_monitor_message(frames)
end

-- ---- sockets ---------------------------------------------------------------------------------

local event_names = {}
for name in pairs_of(numbers) do
  event_names[#event_names + 1] = name
end
table.sort(event_names)

local function number_of(name)
  local number = type(name) == "string" and numbers[name:upper():gsub("^EVENT_", "")]
  if not number then
    check.bad("monitor", 2,
      type(name) == "string" and ("unknown event '%s'; did you mean '%s'?"):format(name,
        core.nearest(name, event_names)) or ("unknown event '%s'"):format(tostring(name)))
  end
  return number
end

-- "all", nil, a mask, a name or a list of names, in capitals or not.
local function mask_of(events)
  if events == nil or type(events) == "string" and events:upper() == "ALL" then
    return ALL
  elseif type(events) == "number" then
    if events < 1 or events > ALL or events % 1 ~= 0 then
      check.bad("monitor", 2, "out of range")
    end
    return events
  elseif type(events) ~= "table" then
    return number_of(events)
  end
  local mask, added = 0, {}
  for _, name in ipairs(events) do
    local number = number_of(name)
    if not added[number] then
      mask, added[number] = mask + number, true
    end
  end
  return mask
end

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_socket(self, method)
  if not core.is_socket(self) then
    core.bad_self(method, "socket", self)
  end
end

-- Is the bit of the event in the mask? 5.1 has no bit operators.
local function has(mask, event)
  return mask % (2 * event) >= event
end

local function open_pair(socket, mask, of_loop)
  local context, message, name = core.socket_context(socket)
  if not context then
    return context, message, name
  end
  local pair
  -- The pair has the class of the socket: receiving from a green one suspends the task.
  pair, message, name = core.new_socket(context, PAIR, not of_loop and context.socket_class or nil)
  if not pair then
    return pair, message, name
  end
  local ok
  ok, message, name = core.start_monitor(socket, pair, mask, of_loop)
  if not ok then
    pair:close(0)
    return ok, message, name
  end
  return pair
end

-- Stream of monitor() -> {monitored socket}. Keeps neither alive.
local watched = setmetatable({}, {__mode = "k"})
local weak = {__mode = "v"}

-- Will the stream close itself? When its socket is closed, libzmq's thread notifies the monitor a
-- moment later.
function core.is_ending_monitor(stream)
  local socket = watched[stream] and watched[stream][1]
  return watched[stream] ~= nil and (not socket or socket:closed())
end

-- The last event closes the stream, before the user's function may raise.
local function watch(stream, socket, fn, mask)
  watched[stream] = setmetatable({socket}, weak)
  stream:on_recv(function(frames)
    local event = parse(frames)
    if event.event == STOPPED then
      stream:close()
    end
    if has(mask, event.event) then
      fn(event)
    end
  end)
end

--- Calls fn(event) in the loop, by default IOLoop.current(), for events of the connections. events
-- are "all", which is the default, names such as {"CONNECTED", "disconnected"}, or a mask of
-- zmq.EVENT_*. It ends by itself, with the event MONITOR_STOPPED, when the socket is closed or by
-- disable_monitor(), without an event when the loop is closed, and by another monitor() of the
-- socket; a nil in place of fn is disable_monitor(). Returns true, or nil, message, name.
function Socket:monitor(fn, events, io_loop)
  check_socket(self, "monitor")
  if fn == nil then
    self:disable_monitor()
    return true
  end
  core.check_callable("monitor", 1, fn)
  local mask = mask_of(events)
  core.check_loop("monitor", 3, io_loop)
  io_loop = io_loop or ioloop.IOLoop.current()
  local pair, message, name = open_pair(self, mask, true)
  if not pair then
    return pair, message, name
  end
  local stream
  stream, message, name = zmqstream.ZMQStream(pair, io_loop)
  if not stream then
    pair:close(0)
    return stream, message, name
  end
  watch(stream, self, fn, mask)
  return true
end

--- Returns a PAIR socket on which the events arrive, for recv_monitor_message(); the same one until
-- it is closed or disable_monitor() is called. The caller closes it, before or after the socket.
-- Returns nil, message, name if it cannot be made. PyZMQ: `Socket.get_monitor_socket`.
function Socket:get_monitor_socket(events)
  check_socket(self, "get_monitor_socket")
  local pair = core.monitor_socket(self)
  if pair then
    return pair
  end
  return open_pair(self, mask_of(events), false)
end

-- ---- streams ---------------------------------------------------------------------------------

local ZMQStream = zmqstream.ZMQStream

local function check_open(stream, method)
  if type(stream) ~= "userdata" then
    core.bad_self(method, "ZMQStream", stream)
  elseif stream:closed() then
    misuse("stream is closed")
  end
end

--- The same as monitor() of the stream's socket, in the stream's loop. Another library's socket has
-- none: ENOTSUP.
function ZMQStream:monitor(fn, events)
  check_open(self, "monitor")
  return core.stream_socket(self):monitor(fn, events, self.io_loop)
end

--- Ends monitor(): its function gets MONITOR_STOPPED, its last event.
function ZMQStream:disable_monitor()
  check_open(self, "disable_monitor")
  core.stream_socket(self):disable_monitor()
end

return {
  parse_monitor_message = parse_monitor_message,
  recv_monitor_message = recv_monitor_message,
}
