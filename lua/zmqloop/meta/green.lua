---@meta zmqloop.green

-- The names of `zmqloop.zmq`, for tasks: what waits suspends the calling task and not the
-- loop. Outside of tasks it runs the loop until it is done.

---Like `zmqloop.zmq`'s, but its sockets are green. `instance()` is another context than
---that of `zmqloop.zmq`.
---@class zmqloop.green.Context: zmqloop.Context
---@overload fun(options?: zmqloop.ContextOptions|lightuserdata): zmqloop.green.Context, string?, string?
local Context = {}

---Creates a context; `green.Context(options)` is the same.
---@param options? zmqloop.ContextOptions|lightuserdata
---@return zmqloop.green.Context context nil on failure
---@return string? message
---@return string? name EINVAL, EMFILE, ENOMEM
function Context.new(options) end

---The context of this Lua state for green sockets, created by the first call.
---@return zmqloop.green.Context context
function Context.instance() end

---Creates a green socket. Like `Context:socket` of `zmqloop.zmq`.
---@param socket_type zmqloop.SocketType|integer such as "REP" or zmq.REP
---@param options? zmqloop.SocketOptions
---@return zmqloop.green.Socket socket nil on failure
---@return string? message names the option or address
---@return string? name EADDRINUSE, EINVAL, EMFILE, ETERM; those of `bind` and `connect`
function Context:socket(socket_type, options) end

---A socket whose waits suspend the task. Any number of tasks may wait, and are served
---first in, first out. A cancelled task has received and sent nothing.
---@class zmqloop.green.Socket: zmqloop.Socket
local Socket = {}

---Sets an option. Like `Socket:set` of `zmqloop.zmq`.
---@param option string|integer
---@param value string|integer|boolean|nil
---@return true? ok nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, EFSM
function Socket:set(option, value) end

---Reads an option; "rcvmore" is about the last part that this task received.
---@param option string|integer
---@return any value a string or an integer; nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, ERANGE
function Socket:get(option) end

---The same as `set`.
---@param option string|integer
---@param value string|integer|boolean|nil
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL, ETERM, EFSM
function Socket:setsockopt(option, value) end

---The same as `get`.
---@param option string|integer
---@return any value a string or an integer; nil on failure
---@return string? message
---@return string? name EINVAL, ETERM, ERANGE
function Socket:getsockopt(option) end

---Receives one frame; waits as long as the option rcvtimeo says, unless flags include
---zmq.DONTWAIT. While `get("rcvmore")` is 1 the rest of the message belongs to this task, and
---others wait. If the task returns first, the next `recv()` of any task gets the rest; if it
---fails or is cancelled, the rest is dropped.
---
---Errors: CANCELLED
---@param flags? integer zmq.DONTWAIT
---@param copy? boolean false: a Frame in place of a string
---@return string? frame nil on failure
---@return string? message
---@return string? name EAGAIN, ENOTSOCK (it was closed meanwhile), EFSM, ENOTSUP, ETERM
---@overload fun(self: zmqloop.green.Socket, flags: integer?, copy: false): zmqloop.Frame?, string?, string?
function Socket:recv(flags, copy) end

---Receives a whole message, or the rest of the one that this task has begun to receive.
---Waits as `recv` does.
---
---Errors: CANCELLED
---@param flags? integer zmq.DONTWAIT
---@param copy? boolean false: Frames in place of strings
---@return string[]? frames nil on failure
---@return string? message
---@return string? name EAGAIN, ENOTSOCK (it was closed meanwhile), EFSM, ENOTSUP, ETERM
---@overload fun(self: zmqloop.green.Socket, flags: integer?, copy: false): zmqloop.Frame[]?, string?, string?
function Socket:recv_multipart(flags, copy) end

---Sends one frame; waits as long as the option sndtimeo says, unless flags include
---zmq.DONTWAIT. With zmq.SNDMORE the next frame that this task sends belongs to the same
---message, and others wait for its end. The last frame sends the message, whole or not at
---all: if that fails, or the task ends first, nothing was sent; start again with the first.
---
---Errors: CANCELLED
---@param data string|zmqloop.Frame
---@param flags? integer|zmqloop.SocketSendOptions zmq.DONTWAIT, zmq.SNDMORE or their sum; or options
---@return true|zmqloop.Tracker|nil ok nil on failure
---@return string? message
---@return string? name EAGAIN, ENOTSOCK (it was closed), EFSM, ENOTSUP, EMSGSIZE, EHOSTUNREACH, ETERM
function Socket:send(data, flags) end

---Sends a message of several frames. Waits as `send` does.
---
---Errors: CANCELLED
---@param frames (string|zmqloop.Frame)[] at least one
---@param flags? integer|zmqloop.SocketSendOptions zmq.DONTWAIT; or options
---@return true|zmqloop.Tracker|nil ok nil on failure
---@return string? message
---@return string? name EAGAIN, ENOTSOCK (it was closed), EFSM, ENOTSUP, EMSGSIZE, EHOSTUNREACH, ETERM
function Socket:send_multipart(frames, flags) end

---Waits until the socket is ready.
---
---Errors: CANCELLED
---@param milliseconds? number nil or negative: for ever, 0: not at all
---@param events? integer zmq.POLLIN, which is the default, zmq.POLLOUT or their sum
---@return integer? ready the ready events; 0: timed out; nil on failure
---@return string? message
---@return string? name ETERM, ENOTSOCK
function Socket:poll(milliseconds, events) end

---Like `zmq.Poller`, but `poll` suspends the task.
---@class zmqloop.green.Poller: zmqloop.Poller
---@overload fun(): zmqloop.green.Poller
local Poller = {}

---Creates an empty poller; `green.Poller()` is the same.
---@return zmqloop.green.Poller poller
function Poller.new() end

---Waits until something is ready. Sockets of either module and descriptors may be registered.
---Registering or unregistering does not affect a wait in progress.
---
---Errors: CANCELLED
---@param milliseconds? number nil or negative: for ever
---@return {[1]: zmqloop.Watchable, [2]: integer}[]? ready the objects and their events; empty when
--- the time is up; nil on failure
---@return string? message
---@return string? name ETERM, ENOTSOCK
function Poller:poll(milliseconds) end

---The module: all names of `zmqloop.zmq`, of which these are green.
---@class zmqloop.green: zmqloop.zmq
---@field Context zmqloop.green.Context the class of contexts
---@field Socket zmqloop.green.Socket the class of green sockets
---@field Poller zmqloop.green.Poller polls, for tasks
---@field ioloop zmqloop.ioloop the module `zmqloop.ioloop`
---@field zmqstream zmqloop.zmqstream the module `zmqloop.zmqstream`
local green = {}

---Passes messages between the sockets, both ways, until one of them fails because it is closed
---or its context ends.
---
---Errors: CANCELLED
---@param frontend zmqloop.green.Socket
---@param backend zmqloop.green.Socket
---@param capture? zmqloop.green.Socket gets a copy of each message
---@return nil
---@return string message
---@return string name ENOTSOCK, ETERM
function green.proxy(frontend, backend, capture) end

---`proxy` under PyZMQ's name.
---
---Errors: CANCELLED
---@param type integer zmq.QUEUE, zmq.FORWARDER or zmq.STREAMER, which all do the same
---@param incoming zmqloop.green.Socket
---@param outgoing? zmqloop.green.Socket messages go back on `incoming` if nil
---@return nil
---@return string message
---@return string name ENOTSOCK, ETERM
function green.device(type, incoming, outgoing) end

return green
