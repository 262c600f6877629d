---@meta

-- The part of `zmqloop.zmq` written in C: contexts and sockets used directly. The
-- part written in Lua is documented in zmq.lua.
--
-- Failures are returned as `nil, message, name`, with libzmq's names, such as `nil,
-- "EAGAIN: resource temporarily unavailable", "EAGAIN"`; misuse raises. A context
-- and its sockets belong to the thread of their Lua state. A blocking call resumes
-- after a signal, unless the signal handler raises, as Ctrl-C in an interpreter
-- does.

---A ZeroMQ context. Its sockets keep it alive; an unreferenced one is terminated
---without blocking, and at the end of the program all together wait for at most a
---second for unsent messages. On a closed one everything but `term`, `destroy` and
---`closed` raises "context is closed".
---@class zmqloop.Context
local Context = {}

---Makes blocking calls on its sockets, and loops that watch them, end with ETERM.
---The sockets must still be closed. Not for a borrowed context.
---@return true? ok nil on failure
---@return string? message
---@return string? name EPERM
function Context:shutdown() end

---Terminates it, waiting for lingering messages; its sockets must be closed. With
---open ones it would wait for itself: it is shut down instead, and the result is
---EBUSY. A borrowed one is only released. Terminating twice is silent. PyZMQ:
---`Context.term`.
---@return true? ok nil on failure
---@return string? message
---@return string? name EBUSY
function Context:term() end

---Closes all of its sockets, with the streams and handlers on them, and
---terminates it. Messages of a connection that was ended by `disconnect` linger as
---the option `linger` said then, and this waits for them. PyZMQ: `Context.destroy`.
---@param linger? integer milliseconds for each socket, -1 for ever; nil: each socket's option
---@return true? ok nil on failure
---@return string? message
---@return string? name
function Context:destroy(linger) end

---@return boolean
function Context:closed() end

---libzmq's `void *`, for other bindings, and for `zmq.Context(handle)` in a Lua
---state of another thread: inproc addresses work across both.
---@return lightuserdata
function Context:handle() end

---Sets a context option, before the first socket is created; or a socket option,
---such as "linger", which becomes the default of new sockets whose type has it;
---nil removes the default. A number that is both, such as zmq.IPV6, means the
---context's.
---@param option string|integer such as "io_threads" or zmq.IO_THREADS
---@param value integer|boolean|string|nil
---@return true? ok nil on failure
---@return string? message names the option
---@return string? name EINVAL
function Context:set(option, value) end

---Reads an option of the context, or the default of an option of sockets.
---@param option string|integer
---@return integer|boolean|string|nil value nil on failure
---@return string? message names the option
---@return string? name EINVAL, also if there is no default
function Context:get(option) end

---A ZeroMQ socket. It lingers for a second when closed, unless set otherwise. On a
---closed one everything but `close` and `closed` raises "socket is closed". A
---socket under a stream or handler may be used directly as well: no wake-up is
---lost.
---@class zmqloop.Socket
local Socket = {}

---Listens at an address. An example of a failure's message: `EADDRINUSE: address
---already in use (tcp://127.0.0.1:5555)`.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name EADDRINUSE, EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, ENODEV, ETERM, ...;
--- over inproc ENOCOMPATPROTO also if this socket cannot accept all sockets that wait for the name
--- (a PAIR accepts one), where libzmq would abort
function Socket:bind(address) end

---Connects to an address; succeeds even if nothing listens there yet. A port is 0
---to 65535. A multicast address that this machine cannot open fails here (ENODEV,
---EPERM, EADDRINUSE).
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name EINVAL, EPROTONOSUPPORT, ENOCOMPATPROTO, ETERM; EMFILE over inproc if
---`max_sockets` is used up: the first connect to a name that is not bound reserves a socket
function Socket:connect(address) end

---Ends a bind. Over tcp and ipc that also ends the connections it has accepted,
---and libzmq drops messages queued for them, whatever `linger` says: to have those
---sent, close the socket instead.
---@param address string as from `get("last_endpoint")`
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name ENOENT, EINVAL, ETERM
function Socket:unbind(address) end

---Ends a connect. If a PAIR connects again right afterwards, over tcp or ipc,
---libzmq may still have the old connection: then it refuses the new one
---permanently, and later messages are lost.
---@param address string
---@return true? ok nil on failure
---@return string? message names the address
---@return string? name ENOENT, EINVAL, ETERM; EFSM: part of a message was received, or the socket
--- is a ROUTER, REP, SUB or XSUB that was found readable and not read since. libzmq would abort or
--- spin if that message were lost with the connection: receive it first. With a stream on the
--- socket only the former applies; the stream receives the message first.
function Socket:disconnect(address) end

---Joins a group, for DISH sockets, which are drafts of libzmq.
---@param group string without zeros, 15 bytes at most
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL, ENOTSUP: libzmq was built without drafts, or the type has no groups
function Socket:join(group) end

---Leaves a group that was joined.
---@param group string
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL, ENOTSUP
function Socket:leave(group) end

---Sends one frame, waiting until the socket can take it (option sndtimeo, in
---milliseconds) or not at all with zmq.DONTWAIT. zmq.SNDMORE: more frames follow.
---Anything but a string raises.
---@param data string
---@param flags? integer zmq.DONTWAIT, zmq.SNDMORE or their sum
---@return true? ok nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, EMSGSIZE (over norm), EHOSTUNREACH, ETERM
function Socket:send(data, flags) end

---Sends a message of several frames. All are checked before the first is sent. A
---socket with the option conflate cannot: ENOTSUP.
---@param frames string[] at least one
---@param flags? integer zmq.DONTWAIT
---@return true? ok nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, EHOSTUNREACH, ETERM
function Socket:send_multipart(frames, flags) end

---Receives one frame, waiting for it (option rcvtimeo, in milliseconds) or not at
---all with zmq.DONTWAIT. `get("rcvmore")` shows whether more frames of its message
---follow.
---@param flags? integer zmq.DONTWAIT
---@return string? data nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, ETERM
function Socket:recv(flags) end

---Receives a whole message. If a multipart message has arrived at a socket with
---the option conflate, which libzmq cannot deliver, this and every later receive
---fails with EPROTO.
---@param flags? integer zmq.DONTWAIT
---@return string[]? frames nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, ETERM
function Socket:recv_multipart(flags) end

---Waits until the socket is ready.
---@param timeout? number milliseconds, rounded up; nil or negative: for ever, 0: not at all
---@param events? integer zmq.POLLIN, which is the default, zmq.POLLOUT or their sum
---@return integer? ready the ready events; 0: timed out; nil on failure
---@return string? message
---@return string? name ETERM
function Socket:poll(timeout, events) end

---Sets an option. Options of libzmq that hold text or bytes take strings, all
---others integers or, for flags, booleans; nil unsets text. "hwm" sets sndhwm and
---rcvhwm. An unknown name raises and names the nearest. High-water marks and the
---like must be set before bind and connect. 64-bit integers are exact from Lua 5.3
---on, where values of unsigned options from 2^63 on are negative; before 5.3,
---values beyond 2^53 raise.
---@param option string|integer such as "linger" or zmq.LINGER
---@param value string|integer|boolean|nil
---@return true? ok nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM; EFSM if sndhwm would be lowered while a ROUTER or REP is in
---the middle of a message that it sends, where libzmq would abort
function Socket:set(option, value) end

---Reads an option: flags are 0 or 1, "hwm" is sndhwm, text comes without the
---trailing NUL.
---@param option string|integer such as "linger" or zmq.LINGER
---@return string|integer|nil value nil on failure
---@return string? message names the option
---@return string? name EINVAL, ETERM; ERANGE: beyond 2^53, before Lua 5.3
function Socket:get(option) end

---The same as `set`.
---@param option string|integer
---@param value string|integer|boolean|nil
---@return true? ok
---@return string? message
---@return string? name
function Socket:setsockopt(option, value) end

---The same as `get`.
---@param option string|integer
---@return string|integer|nil value
---@return string? message
---@return string? name
function Socket:getsockopt(option) end

---Closes it, with the stream or handler on it. Closing twice is silent.
---@param linger? integer milliseconds for which libzmq still sends, -1 for ever; nil: its option
function Socket:close(linger) end

---@return boolean
function Socket:closed() end

---libzmq's `void *`, for other bindings.
---@return lightuserdata
function Socket:handle() end

---Ends `monitor` and the events of `get_monitor_socket`: the last of them is
---MONITOR_STOPPED. Silent if there is none.
function Socket:disable_monitor() end

---What `zmq.Context` and `green.Context` take, beside libzmq's options of contexts and,
---as defaults of new sockets, of sockets.
---@class zmqloop.ContextOptions
---@field limits? "internet" limits for peers that are not trusted, which explicit options
--- replace: maxmsgsize 1 MiB, rcvhwm and sndhwm 100, handshake_ivl 5 s, backlog 1024, tcp
--- keepalive after 60 s; the queue of each stream 1000 messages and 16 MiB (`set_send_hwm`)
---@field io_threads? integer
---@field max_sockets? integer

---@class zmqloop.zmq
---@field ZAP_ENFORCE_DOMAIN integer set it together with the option zap_domain: without a ZAP
--- handler nobody is admitted then
local zmq = {}

---The version of the libzmq in use.
---@return integer major
---@return integer minor
---@return integer patch
function zmq.version() end

---Whether libzmq was built with the capability.
---@param capability string "curve", "gssapi", "ipc", "pgm", "tipc", "norm", "draft", ...
---@return boolean
function zmq.has(capability) end

---Passes messages from either socket to the other, whole and in order, until a
---command ends it, a context ends or a signal handler raises, as Ctrl-C in an
---interpreter does; it blocks. Messages that one side cannot take stay with the
---other. Commands are "PAUSE", "RESUME", "TERMINATE" and "STATISTICS", which is
---answered with eight native 64-bit numbers: of the frontend, then of the backend,
---the messages and bytes received, and those sent. A REP gets an empty reply to
---the other commands.
---@param frontend zmqloop.Socket
---@param backend zmqloop.Socket may be the same
---@param capture? zmqloop.Socket gets a copy of each message
---@param control? zmqloop.Socket PAIR, PULL, SUB or REP, for the commands
---@return true? ended nil on failure
---@return string? message
---@return string? name ETERM
function zmq.proxy(frontend, backend, capture, control) end

---Creates a pair of CURVE keys.
---@return string? public 40 characters of Z85; nil on failure
---@return string secret 40 characters of Z85, or the failure's message
---@return string? name ENOTSUP: libzmq was built without CURVE
function zmq.curve_keypair() end

---The public key of a secret key. Raises if it does not have 40 characters.
---@param secret string
---@return string? public nil on failure
---@return string? message
---@return string? name EINVAL: not Z85, ENOTSUP
function zmq.curve_public(secret) end

---Bytes as text. Raises if their number is not divisible by 4.
---@param data string
---@return string text
function zmq.z85_encode(data) end

---Text as bytes. Raises if its length is not divisible by 5.
---@param text string
---@return string? data nil on failure
---@return string? message
---@return string? name EINVAL: not Z85
function zmq.z85_decode(text) end
