--- zmqloop.jit: receiving and sending of streams as code that LuaJIT compiles.
-- Internal: programs do not require it, and it may change at any time.
-- Calls between C and Lua are interpreted; calls of C through the FFI are compiled. So here the
-- loop over the messages of a turn is written in Lua, which LuaJIT compiles together with the
-- user's callback, and so is sending. csrc/lua/stream_jit.c is the other half; anything that
-- cannot be done here takes the interpreted path, as in other Luas.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("jit") then
  return classes.registered("jit")
end

local ffi = require("ffi")

local cast, to_string = ffi.cast, ffi.string
local raw_send_multipart = core.ZMQStream.send_multipart

-- The userdata holds the functions. The types are the layouts that C has, and the constants have
-- its values.
local functions_userdata, functions_type, turn_type, calls_type, constants = core.jit_functions()
local turn_pointer = ffi.typeof(turn_type)
local functions = cast(ffi.typeof(functions_type), functions_userdata)
local calls = cast(ffi.typeof(calls_type), core.calls)
local next_message, accept_message = functions.next_message, functions.accept_message
local send_frame, send_frames = functions.send_frame, functions.send_frames

-- Results of next_message() besides the number of frames, and one of our own.
local TURN_OVER, ASK_AGAIN = constants.TURN_OVER, constants.ASK_AGAIN
local NOT_HERE, YIELDED = constants.NOT_HERE, constants.YIELDED

-- ---- receiving -------------------------------------------------------------------------------

-- A call that has yielded is resumed long after its turn is over: by then there is another call
-- from the core, or none.

local function frame(turn, i)
  return to_string(turn.data[i], turn.size[i])
end

-- The message that is shown has become Lua values. Returns whether the stream is still open: a
-- finalizer that ran meanwhile may have closed it.
local function accept(turn)
  return accept_message(turn) ~= 0
end

-- The frames of a message, in a list created with room for the usual number.
local function frames_of(turn, count)
  local a = frame(turn, 0)
  if count == 1 then
    return {a}
  end
  local b = frame(turn, 1)
  if count == 2 then
    return {a, b}
  end
  local c = frame(turn, 2)
  local frames = {a, b, c}
  for i = 4, count do
    frames[i] = frame(turn, i - 1)
  end
  return frames
end

-- Each of these calls fn for one message after the other, and returns the result that ended the
-- loop.

local function receive_lists(turn, serial, fn)
  local count = next_message(turn)
  while count > 0 do
    local frames = frames_of(turn, count)
    if not accept(turn) then
      return TURN_OVER
    end
    fn(frames)
    if calls.serial ~= serial then
      return YIELDED
    end
    count = next_message(turn)
  end
  return count
end

local function receive_unpacked(turn, serial, fn)
  local count = next_message(turn)
  while count > 0 do
    if count == 1 then
      local only = frame(turn, 0)
      if not accept(turn) then
        return TURN_OVER
      end
      fn(only)
    elseif count == 2 then
      local first, second = frame(turn, 0), frame(turn, 1)
      if not accept(turn) then
        return TURN_OVER
      end
      fn(first, second)
    else
      return NOT_HERE
    end
    if calls.serial ~= serial then
      return YIELDED
    end
    count = next_message(turn)
  end
  return count
end

-- The one of these that serves a stream; nil if none does.
local function choose(with_stream, unpack)
  if unpack then
    return not with_stream and receive_unpacked or nil
  end
  return receive_lists
end

-- The function to be called with frames alone.
local function bind_stream(fn, stream)
  return function(frames)
    fn(stream, frames)
  end
end

-- Receives one message by the interpreted path. Returns whether there was one.
local function call_once(fn, ...)
  if fn == nil then
    return false
  end
  fn(...)
  return true
end

-- Called by the core for a turn.
local function receive(active, state, handle, loop)
  local turn, serial = cast(turn_pointer, handle), calls.serial
  local answer
  repeat
    local fn, with_stream, unpack, stream = core.receiver(active, state, handle)
    local receive_many = fn and choose(with_stream, unpack)
    answer = NOT_HERE
    if receive_many then
      answer = receive_many(turn, serial, with_stream and bind_stream(fn, stream) or fn)
    end
    if answer ~= ASK_AGAIN and answer ~= TURN_OVER and answer ~= YIELDED then
      if not call_once(core.next_call(active, state, handle, loop)) then
        answer = TURN_OVER
      elseif calls.serial ~= serial then
        answer = YIELDED
      end
    end
  until answer == TURN_OVER or answer == YIELDED
end

-- ---- sending ---------------------------------------------------------------------------------

-- Streams attached here -> their address. Any other userdata is not one of ours.
local addresses = setmetatable({}, {__mode = "k"})

-- Results of send_frame() and send_frames(). NOT_SENT: nothing was done; the interpreted path
-- returns the reason.
local NOT_SENT, QUEUED = constants.NOT_SENT, constants.QUEUED

local MOST_SENT = constants.MOST_SENT -- frames; longer messages are not sent here

local function sent(answer, stream)
  if answer == QUEUED then
    core.keep_stream(stream)
  end
  return answer ~= NOT_SENT
end

-- Returns send() or send_string(), given C's version of it.
local function make_send(raw_send)
  return function(self, data, options, ...)
    local address = addresses[self]
    if address and type(data) == "string" and options == nil and
      sent(send_frame(address, data, #data), self) then
      return true
    end
    return raw_send(self, data, options, ...)
  end
end

-- A hook may send another message between any two instructions, and a finalizer may at the end of a
-- trace. So the frames of a message are kept in locals only, until C has all of them.

-- Whether nothing follows the frames of the list: the length of a list with a hole may stop at the
-- hole.
local function ends_at(list, count)
  return next(list, count) == nil
end

-- A list of up to four frames. Returns what send_frames() does.
local function send_list(address, list, count)
  local a, b, c, d = list[1], list[2], list[3], list[4]
  if type(a) ~= "string" or not ends_at(list, count) then
    return NOT_SENT
  elseif count == 1 then
    return send_frame(address, a, #a)
  elseif type(b) ~= "string" then
    return NOT_SENT
  elseif count == 2 then
    return send_frames(address, 2, a, #a, b, #b, nil, 0, nil, 0)
  elseif type(c) ~= "string" then
    return NOT_SENT
  elseif count == 3 then
    return send_frames(address, 3, a, #a, b, #b, c, #c, nil, 0)
  elseif type(d) ~= "string" then
    return NOT_SENT
  end
  return send_frames(address, 4, a, #a, b, #b, c, #c, d, #d)
end

local function send_multipart(self, list, options, ...)
  local address = addresses[self]
  if address and type(list) == "table" and options == nil and not getmetatable(list) then
    local count = #list
    if count > 0 and count <= MOST_SENT and sent(send_list(address, list, count), self) then
      return true
    end
  end
  return raw_send_multipart(self, list, options, ...)
end

core.set_receiver(receive)
core.ZMQStream.send = make_send(core.ZMQStream.send)
core.ZMQStream.send_string = make_send(core.ZMQStream.send_string)
core.ZMQStream.send_multipart = send_multipart

return classes.register("jit", {
  --- Makes the stream send by compiled code.
  attach = function(stream)
    addresses[stream] = cast("void *", stream)
  end,
})
