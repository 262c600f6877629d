---@meta zmqloop.zmqstream

-- On a closed stream everything but `close`, `closed`, `receiving`, `sending` and
-- `queued` raises "stream is closed". All may be called inside callbacks.

---A ZeroMQ socket on a loop: receives whole messages and passes them to a
---callback, and sends without ever blocking. After PyZMQ's ZMQStream.
---@class zmqloop.ZMQStream
---@field socket zmqloop.Socket|table|userdata the socket it was created with
---@field io_loop zmqloop.IOLoop the loop it was created with
---@overload fun(socket: zmqloop.Socket|table|userdata, io_loop?: zmqloop.IOLoop): zmqloop.ZMQStream, string?, string?
local ZMQStream = {}

---Puts a stream on a socket; `ZMQStream(...)` is the same. It receives nothing until
---`on_recv()`. The stream owns the socket: closing one closes the other. The socket may
---belong to another library: an object with handle() or lightuserdata(), such as lzmq's, which
---the stream then owns, or a light userdata (LuaJIT: a pointer), which its creator must close
---after the stream. Other code may keep using such a socket in the same thread.
---@param socket zmqloop.Socket|table|userdata
---@param io_loop? zmqloop.IOLoop IOLoop.current() if nil
---@return zmqloop.ZMQStream stream nil on failure
---@return string? message
---@return string? name ETERM, ENOTSUP (a thread-safe socket), ENOMEM
function ZMQStream.new(socket, io_loop) end

---`fn(frames)` is called with each message, a list of strings; nil pauses, and
---messages wait in the socket, in order. Raises without an argument. Warns once on
---stderr if the socket only sends. Replaces on_recv_stream. An error in fn loses
---no message and leaves the stream as it is. fn may wait, for example in
---`zmqloop.sleep`: then the next message is delivered when it has returned, even
---if another fn has been set meanwhile; see cancel(). PyZMQ: `ZMQStream.on_recv`,
---without that back-pressure.
---@param fn zmqloop.Callable|nil
---@param options? boolean|{copy?: boolean, unpack?: boolean, concurrency?: integer} copy=false, or
--- false alone: Frames in place of strings; unpack: `fn(frame1, frame2, ...)` without a table;
--- concurrency: how many calls may be waiting at once, 1 by default
function ZMQStream:on_recv(fn, options) end

---Like `on_recv`, with `fn(stream, frames)`: one function for many streams.
---@param fn zmqloop.Callable|nil
---@param options? boolean|{copy?: boolean, unpack?: boolean, concurrency?: integer}
function ZMQStream:on_recv_stream(fn, options) end

---The same as `on_recv(nil)`.
function ZMQStream:stop_on_recv() end

---Stops receiving until `resume()`, keeping the callback. Messages wait in the
---socket, whose high-water mark then holds back the sender.
function ZMQStream:pause() end

---Resumes receiving where `pause()` stopped. Nothing is lost.
function ZMQStream:resume() end

---`fn(frames, status, message, name)` is called from the loop, never inside
---`send`, for each message sent from now on, in order: status is true when libzmq
---took it, nil with message and name when libzmq refused it. nil ends the calls.
---PyZMQ: `ZMQStream.on_send`, without its tracker.
---@param fn zmqloop.Callable|nil
function ZMQStream:on_send(fn) end

---Like `on_send`, with `fn(stream, frames, status, message, name)`.
---@param fn zmqloop.Callable|nil
function ZMQStream:on_send_stream(fn) end

---The same as `on_send(nil)`.
function ZMQStream:stop_on_send() end

---`fn()` is called from the loop when there is room in the queue again: once after
---`send` has refused a message with EAGAIN, when the queue has fallen to half of
---its limits. nil unsets it.
---@param fn zmqloop.Callable|nil
function ZMQStream:on_drain(fn) end

---`fn(message, name)` is called with failures that nothing else reports: once when
---the context was terminated (ETERM) or the socket closed by other code (ENOTSOCK,
---after which the stream is closed), and for each queued message that libzmq
---refused, if neither on_send nor a callback of its own is set. Without fn such a
---message is an error of a callback, with the stream in place of the callback.
---@param fn zmqloop.Callable|nil
function ZMQStream:on_error(fn) end

---The same as `on_error(nil)`.
function ZMQStream:stop_on_err() end

---`fn(unsent)` is called inside `close()`, with the number of messages that were
---not sent; its errors are handled as those of other callbacks. nil unsets it. If
---a close callback closes another stream of the loop, that stream's callback is
---called when the first has returned.
---@param fn zmqloop.Callable|nil
function ZMQStream:set_close_callback(fn) end

---@class zmqloop.SendOptions
---@field callback? zmqloop.Callable like on_send's, called for this message only, before on_send
---@field track? boolean returns a tracker, which shows when libzmq has released the message
---@field routing_id? integer the peer of a SERVER socket: 1 to 2^32 - 1
---@field group? string of a RADIO socket
---@field early? boolean on a REP without a request to answer: queue it, for the next request
---@field copy? boolean accepted for compatibility with PyZMQ: Frames share their bytes, strings
--- are copied
---@field flags? integer zmq.DONTWAIT, for compatibility with PyZMQ; zmq.SNDMORE raises, see
--- `send_multipart`

---Sends a message of one frame: now, if nothing is queued before it and the socket
---can take it, else from the loop as soon as the socket can, in order. Never
---blocks, never drops. Anything but a string or a Frame raises. A refused message
---is neither sent nor queued; EAGAIN, ESHUTDOWN and EFSM come from the stream, the
---others from libzmq. A REQ may send before it has its reply: the message waits
---for that. A REP without a request to answer, or that has already answered, gets
---EFSM, because the next client would receive this message.
---@param data string|zmqloop.Frame
---@param options? zmqloop.SendOptions|zmqloop.Callable a callable is the callback
---@return true|zmqloop.Tracker|nil accepted
---@return string? message
---@return string? name EAGAIN (the queue is full: `set_send_hwm`), ESHUTDOWN (`drain`), EFSM (a REP
--- without a request), ENOTSUP, EMSGSIZE (over norm), EHOSTUNREACH (a ROUTER with
--- router_mandatory), ETERM, ENOTSOCK, ENOMEM
function ZMQStream:send(data, options) end

---The same as `send`.
---@param text string|zmqloop.Frame
---@param options? zmqloop.SendOptions|zmqloop.Callable
---@return true|zmqloop.Tracker|nil accepted
---@return string? message
---@return string? name
function ZMQStream:send_string(text, options) end

---Like `send`, for a message of several frames, which is sent whole or not at all.
---All frames are checked before anything is sent; later changes to the list have
---no effect.
---@param frames (string|zmqloop.Frame)[] at least one
---@param options? zmqloop.SendOptions|zmqloop.Callable
---@return true|zmqloop.Tracker|nil accepted
---@return string? message
---@return string? name
function ZMQStream:send_multipart(frames, options) end

---Delivers what can be received and sends what is queued, without waiting and
---without the loop; replies that callbacks queue meanwhile are sent too. If there
---is no receive callback when it begins, messages are read and discarded; while
---paused they stay where they are. Inside a flush of the same stream it only
---sends. Raises if loops and flushes are nested in each other's callbacks more
---than about 50 deep. PyZMQ: `ZMQStream.flush`, with an exact limit.
---@param events? integer zmq.POLLIN, zmq.POLLOUT or their sum, which is the default
---@param limit? integer messages at most; nil: no limit, 0: none
---@return integer handled how many messages were received or sent
function ZMQStream:flush(events, limit) end

---How many messages it receives in one turn before others get theirs.
---@param messages integer 1 to 65535
function ZMQStream:set_batch(messages) end

---In each iteration streams of a higher priority are served before others, each
---one once, so that none starves. Those of the same priority take turns.
---@param priority integer -1000000 to 1000000; 0 is the default, and the priority of everything
--- else
function ZMQStream:set_priority(priority) end

---Limits of the queue. A message beyond them is refused: `send` returns nil,
---"EAGAIN: ...", "EAGAIN", and `on_drain` is called when there is room. Messages
---already queued stay; a message of more bytes than the limit may wait alone.
---@param messages integer|nil 0 or nil: no limit, which is the default
---@param bytes? integer of all their frames; 0 or nil: no limit
function ZMQStream:set_send_hwm(messages, bytes) end

---Gives libzmq as much of the queue as it takes, closes stream and socket, and
---calls the close callback. No callback of the stream runs afterwards. Closing
---twice is silent.
---@param linger? integer milliseconds for which libzmq still sends, -1 for ever; nil: the socket's
--- option
---@return integer unsent how many messages libzmq did not take
function ZMQStream:close(linger) end

---Whether the stream, or its socket, was closed.
---@return boolean
function ZMQStream:closed() end

---Whether it has a receive callback and is not paused.
---@return boolean
function ZMQStream:receiving() end

---Whether messages are queued.
---@return boolean
function ZMQStream:sending() end

---How many messages libzmq has not yet taken.
---@return integer
function ZMQStream:queued() end

-- ---- methods of its socket -------------------------------------------------------------

---The same as `bind` of its socket.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name EADDRINUSE, EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, ENODEV, ETERM
function ZMQStream:bind(address) end

---The same as `bind_to_random_port` of its socket.
---@param address string without a port, such as "tcp://127.0.0.1"
---@param options? zmqloop.PortOptions
---@return integer? port nil on failure
---@return string? message
---@return string? name EADDRINUSE, EINVAL, ETERM
function ZMQStream:bind_to_random_port(address, options) end

---The same as `connect` of its socket.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, ETERM, EMFILE
function ZMQStream:connect(address) end

---The same as `unbind` of its socket.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name ENOENT, EINVAL, ETERM
function ZMQStream:unbind(address) end

---The same as `disconnect` of its socket.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name ENOENT, EINVAL, ETERM, EFSM
function ZMQStream:disconnect(address) end

---The same as `set` of its socket.
---@param option string|integer such as "linger" or zmq.LINGER
---@param value string|integer|boolean|nil
---@return true? ok nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, EFSM
function ZMQStream:set(option, value) end

---The same as `get` of its socket.
---@param option string|integer such as "linger" or zmq.LINGER
---@return any value a string or an integer; nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, ERANGE
function ZMQStream:get(option) end

---The same as `setsockopt` of its socket.
---@param option string|integer such as "linger" or zmq.LINGER
---@param value string|integer|boolean|nil
---@return true? ok nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, EFSM
function ZMQStream:setsockopt(option, value) end

---The same as `getsockopt` of its socket.
---@param option string|integer such as "linger" or zmq.LINGER
---@return any value a string or an integer; nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM, ERANGE
function ZMQStream:getsockopt(option) end

---The same as `subscribe` of its socket.
---@param topic string|string[] one, or several
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL (not a SUB), ETERM
function ZMQStream:subscribe(topic) end

---The same as `unsubscribe` of its socket.
---@param topic string|string[] one, or several
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL (not a SUB), ETERM
function ZMQStream:unsubscribe(topic) end

---The same as `monitor` of its socket, in the stream's loop.
---@param fn fun(event: zmqloop.MonitorEvent)|nil nil is `disable_monitor()`
---@param events? zmqloop.MonitorEvents
---@return true? ok nil on failure
---@return string? message
---@return string? name ENOTSUP (another library's socket), ETERM, EMFILE
function ZMQStream:monitor(fn, events) end

---Ends `monitor`: its function gets MONITOR_STOPPED, its last event.
function ZMQStream:disable_monitor() end

-- ---- sending and receiving in other forms --------------------------------------------------

---Sends a value as JSON text, by lua-cjson or else dkjson. Raises if neither is installed,
---or if JSON cannot express the value. PyZMQ: `ZMQStream.send_json`.
---@param value any
---@param options? zmqloop.SendOptions|zmqloop.Callable as for `send`
---@return true|zmqloop.Tracker|nil accepted
---@return string? message
---@return string? name as of `send`: EAGAIN, ESHUTDOWN, EFSM, ENOTSUP, EMSGSIZE, EHOSTUNREACH, ETERM, ENOTSOCK, ENOMEM
function ZMQStream:send_json(value, options) end

---Sends the list of frames that `serialize(value)` returns. PyZMQ:
---`ZMQStream.send_serialized`.
---@param value any
---@param serialize fun(value: any): (string|zmqloop.Frame)[]
---@param options? zmqloop.SendOptions|zmqloop.Callable as for `send`
---@return true|zmqloop.Tracker|nil accepted
---@return string? message
---@return string? name as of `send`: EAGAIN, ESHUTDOWN, EFSM, ENOTSUP, EMSGSIZE, EHOSTUNREACH, ETERM, ENOTSOCK, ENOMEM
function ZMQStream:send_serialized(value, serialize, options) end

---Refuses new messages (ESHUTDOWN), sends the queued ones, then closes the stream and its
---socket. Until then it still receives. In a callback of the loop it returns at once;
---otherwise it runs the loop until the stream is closed or `stop()` is called.
---@param timeout? number seconds, after which it is closed anyway; no limit if nil. The close
--- callback gets the number of unsent messages
---@return true|integer result in a callback true, else how many messages libzmq did not take
function ZMQStream:drain(timeout) end

---Suspends the running task until a message arrives. Messages that no task waits for stay in
---the socket; tasks are served first in, first out. A cancelled task takes no message. A
---paused stream delivers none until `resume()`. Raises if the stream has an `on_recv()`
---callback; `on_recv()` raises while a task waits here. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param timeout? number seconds; no limit if nil; 0: only a message that is there
---@return string[]? frames nil on failure
---@return string? message
---@return string? name ETIMEDOUT, ENOTSOCK (the stream was closed), ETERM
function ZMQStream:recv(timeout) end

---An iterator over the messages that the running task receives, until the stream is closed:
---`for frames in stream:messages() do`. Lua 5.1 cannot suspend in a `for`: call the iterator
---in a `while` there.
---
---Errors: CANCELLED (the task was cancelled)
---@return fun(): string[]? messages
function ZMQStream:messages() end

---Sends a message and suspends the running task until the socket has taken it. Waits while
---the queue is full. A message that has timed out, or whose task was cancelled before the
---socket had taken it, was not sent and never will be. Only inside a task.
---
---Errors: CANCELLED (the task was cancelled)
---@param message string|zmqloop.Frame|(string|zmqloop.Frame)[]
---@param timeout? number seconds; no limit if nil
---@return true? sent nil on failure
---@return string? text
---@return string? name ETIMEDOUT, ESHUTDOWN, EFSM, ENOTSUP, EMSGSIZE, EHOSTUNREACH, ETERM, ENOTSOCK
function ZMQStream:send_wait(message, timeout) end

---Cancels the calls of on_recv's callback that are waiting, as `Task:cancel()` does. When
---they have ended the stream calls its current callback again. Tasks in `recv()` and
---`send_wait()` are left alone.
---@return integer cancelled how many calls
function ZMQStream:cancel() end

---The module: callbacks for messages on a socket.
---@class zmqloop.zmqstream
---@field ZMQStream zmqloop.ZMQStream the class of streams
local zmqstream = {}

return zmqstream
