--- zmqloop.zmqstream: callbacks for messages on a zmq socket.
-- Names and semantics of PyZMQ's eventloop.zmqstream. A stream owns its socket: closing one closes
-- the other.
local core = require("zmqloop.core")
local ioloop = require("zmqloop.ioloop")

local ZMQStream = core.ZMQStream
ZMQStream.__index = ZMQStream

--- Puts a stream on a socket of zmqloop.zmq, in a loop, by default IOLoop.current().
-- It receives nothing until on_recv(). The fields `socket` and `io_loop` are the two. Returns nil,
-- message, name if libzmq refuses (ETERM).
function ZMQStream.new(socket, io_loop)
  return core.new_stream(ZMQStream, io_loop or ioloop.IOLoop.current(), socket)
end

setmetatable(ZMQStream, {
  __call = function(_, socket, io_loop) return ZMQStream.new(socket, io_loop) end,
})

-- The socket's own methods, for the stream.
local passed_through = {
  "bind", "bind_to_random_port", "connect", "unbind", "disconnect", "set", "get", "setsockopt",
  "getsockopt", "subscribe", "unsubscribe",
}

for _, name in ipairs(passed_through) do
  ZMQStream[name] = function(self, ...)
    if self:closed() then
      error("stream is closed", 2)
    end
    local socket = self.socket
    return socket[name](socket, ...)
  end
end

return {ZMQStream = ZMQStream}
