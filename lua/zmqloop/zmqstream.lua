--- zmqloop.zmqstream: callbacks for messages on a zmq socket.
-- Names and semantics of PyZMQ's eventloop.zmqstream. A stream owns its socket: closing one closes
-- the other.
--
-- The methods of ZMQStream, and the files that define them:
--   csrc/lua/stream_recv.c    on_recv on_recv_stream stop_on_recv pause resume flush
--   csrc/lua/stream_send.c    send send_string send_multipart on_send on_send_stream stop_on_send
--   csrc/lua/stream_notice.c  on_drain on_error stop_on_err
--   csrc/lua/stream_life.c    closed receiving sending queued set_batch set_priority set_send_hwm
--   csrc/lua/stream_close.c   close set_close_callback
--   here                      new send_json send_serialized drain bind bind_to_random_port
--                             connect unbind disconnect set get setsockopt getsockopt subscribe
--                             unsubscribe
--   async/stream_tasks.lua    recv messages send_wait cancel
--   monitor.lua               monitor disable_monitor
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local ioloop = require("zmqloop.ioloop")
local classes = require("zmqloop.class")
local limits = require("zmqloop.limits")

local ZMQStream = core.ZMQStream
ZMQStream.__index = ZMQStream

-- Present where LuaJIT compiles and has its FFI.
local jit = rawget(_G, "jit")
local compiled = jit and jit.status() and pcall(require, "ffi") and require("zmqloop.jit")

-- ---- making ----------------------------------------------------------------------------------

-- Is it a pointer of LuaJIT's ffi, as lzmq.ffi uses for handles?
local function is_pointer(value)
  if type(value) ~= "cdata" then
    return false
  end
  return tostring(require("ffi").typeof(value)):find("%*>$") ~= nil
end

local function is_object(value)
  return type(value) == "table" or type(value) == "userdata" or type(value) == "cdata"
end

-- A method of another library's object, or nil; a light userdata has none.
local function method_of(value, name)
  if not is_object(value) or core.foreign_handle(value) and not is_pointer(value) then
    return nil
  end
  local found, method = pcall(function() return value[name] end)
  return found and core.is_callable(method) and method or nil
end

-- The void * of another library's socket as light userdata, and the object to be closed with the
-- stream. lzmq has handle(), its pollable objects have socket().
local function handle_of(value, owner, depth)
  if type(value) == "userdata" and core.foreign_handle(value) or is_pointer(value) then
    return core.foreign_handle(value), owner
  end
  for _, name in ipairs({"handle", "lightuserdata"}) do
    local method = method_of(value, name)
    if method then
      return handle_of(method(value), owner or value, depth)
    end
  end
  local method = method_of(value, "socket")
  if method and depth == 0 then
    return handle_of(method(value), value, 1)
  end
  return nil
end

-- lzmq calls this before it closes its socket. It must not keep the stream alive.
local function release_before_close(stream, object)
  local on_close = method_of(object, "on_close")
  if on_close then
    local weak = setmetatable({stream}, {__mode = "v"})
    on_close(object, function()
      if weak[1] then core.release_stream(weak[1]) end
    end)
  end
end

local function new_foreign(given, io_loop)
  local handle, owner = handle_of(given, nil, 0)
  if not handle then
    return core.new_stream(ZMQStream, io_loop, given) -- raises
  end
  local socket, message, name = core.borrow_socket(handle)
  if not socket then
    return socket, message, name
  end
  local stream
  stream, message, name = core.new_stream(ZMQStream, io_loop, socket, given, owner)
  if stream and owner then
    release_before_close(stream, owner)
  end
  return stream, message, name
end

--- Puts a stream on a socket of zmqloop.zmq, in a loop, by default IOLoop.current().
-- It receives nothing until on_recv(). Both are in the fields `socket` and `io_loop`. Returns nil,
-- message, name if libzmq refuses (ETERM). The socket may belong to another library: an object
-- with handle() or lightuserdata(), such as lzmq's, which the stream then owns, or a light
-- userdata (LuaJIT: a pointer), which its creator must close after the stream. Other code may keep
-- using such a socket in the same thread.
function ZMQStream.new(socket, io_loop)
  if socket == nil and type(io_loop) == "string" then -- nil, message, name of what has failed
    check.bad("ZMQStream", 1, ('zmq socket expected, got nil, "%s"'):format(io_loop))
  end
  core.check_loop("ZMQStream", 2, io_loop)
  io_loop = io_loop or ioloop.IOLoop.current()
  local stream, message, name
  if core.is_socket(socket) then
    stream, message, name = core.new_stream(ZMQStream, io_loop, socket)
    if stream then
      limits.apply(socket, stream)
    end
  else
    stream, message, name = new_foreign(socket, io_loop)
  end
  if stream and compiled then
    compiled.attach(stream)
  end
  return stream, message, name
end

setmetatable(ZMQStream, {
  __call = function(_, socket, io_loop) return ZMQStream.new(socket, io_loop) end,
})

-- ---- the socket's own methods, for the stream -------------------------------------------------

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, method)
  if type(self) ~= "userdata" then
    core.bad_self(method, "ZMQStream", self)
  end
end

local passed_through = {
  "bind", "bind_to_random_port", "connect", "unbind", "disconnect", "set", "get", "setsockopt",
  "getsockopt", "subscribe", "unsubscribe",
}

for _, name in ipairs(passed_through) do
  ZMQStream[name] = function(self, ...)
    check_self(self, name)
    local socket = core.stream_socket(self)
    return socket[name](socket, ...)
  end
end

-- ---- sending what is no string ----------------------------------------------------------------

--- Sends a value as JSON text, using lua-cjson or else dkjson. Raises if neither is installed, or
-- if JSON cannot express the value. Options and results are those of send(). PyZMQ: `send_json`.
function ZMQStream:send_json(value, options)
  check_self(self, "send_json")
  local encoded, text = pcall(require("zmqloop.json").encode, value)
  if not encoded then
    check.bad("send_json", 1, tostring(text))
  end
  return self:send(text, options)
end

--- Sends the list of frames that serialize(value) returns. Options and results are those of
-- send_multipart(). PyZMQ: `send_serialized`.
function ZMQStream:send_serialized(value, serialize, options)
  check_self(self, "send_serialized")
  core.check_callable("send_serialized", 2, serialize)
  return self:send_multipart(serialize(value), options)
end

-- ---- draining --------------------------------------------------------------------------------

--- Refuses new messages (ESHUTDOWN), sends the queued ones, then closes the stream and its socket.
-- After `timeout` seconds (nil: no limit) it is closed anyway; the close callback gets the number
-- of unsent messages. Until then it still receives. In a callback of the loop it returns true at
-- once; otherwise it runs the loop until the stream is closed or stop() is called, and returns how
-- many messages libzmq did not take.
function ZMQStream:drain(timeout)
  if not core.drain_stream(self, timeout) then
    return true
  end
  core.await_stream(self, true)
  local ran, failure = pcall(self.io_loop.start, self.io_loop)
  local unsent = core.await_stream(self, false)
  if not ran then
    error(failure, 0)
  end
  return self:closed() and unsent or self:close()
end

return {
  ZMQStream = classes.extend(ZMQStream, {
    monitor = "monitor",
    disable_monitor = "monitor",
    cancel = "async.stream_tasks",
    recv = "async.stream_tasks",
    messages = "async.stream_tasks",
    send_wait = "async.stream_tasks",
  }),
}
