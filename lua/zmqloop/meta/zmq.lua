---@meta zmqloop.zmq

-- Contexts, sockets, constants. Times are milliseconds, as in libzmq.
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
---@overload fun(options?: zmqloop.ContextOptions|lightuserdata): zmqloop.Context, string?, string?
local Context = {}

---Creates a context; `zmq.Context(options)` is the same. A light userdata, from another
---context's `handle()`, is borrowed: its sockets belong to this state, which never terminates
---the context. An unknown option raises.
---@param options? zmqloop.ContextOptions|lightuserdata
---@return zmqloop.Context context nil on failure
---@return string? message
---@return string? name EINVAL, EMFILE, ENOMEM
function Context.new(options) end

---The context of this Lua state, created by the first call, and anew after it was closed
---and in a forked process.
---@return zmqloop.Context context
function Context.instance() end

---Returns a constructor like `zmq.Context` for a class derived from it.
---@param class table methods; its field `socket_class` is the class of its sockets, derived from
--- zmq.Socket
---@return zmqloop.Context constructor
function Context.derive(class) end

---Creates a socket. Its options are set before subscriptions, these before bind, bind
---before connect. An unknown type or option raises. A failure closes the socket.
---@param socket_type zmqloop.SocketType|integer such as "REP" or zmq.REP
---@param options? zmqloop.SocketOptions
---@return zmqloop.Socket socket nil on failure
---@return string? message names the option or address
---@return string? name EADDRINUSE, EINVAL, EMFILE, ETERM; those of `bind` and `connect`
function Context:socket(socket_type, options) end

---The types that every libzmq has.
---@alias zmqloop.SocketType
---| "REQ"
---| "REP"
---| "DEALER"
---| "ROUTER"
---| "PUB"
---| "SUB"
---| "XPUB"
---| "XSUB"
---| "PUSH"
---| "PULL"
---| "PAIR"
---| "STREAM"
---| string

---What `Context:socket` takes: each option of libzmq by its name in small letters, and these.
---@class zmqloop.SocketOptions
---@field bind? string|string[] addresses, bound after the options are set
---@field connect? string|string[] addresses, connected last
---@field subscribe? string|string[] topics of a SUB
---@field join? string|string[] groups of a DISH, a draft of libzmq
---@field hwm? integer messages: sndhwm and rcvhwm
---@field affinity? integer which I/O threads serve new connections, a bit for each; 0, the default: any
---@field routing_id? string bytes by which a ROUTER knows it
---@field identity? string the former name of routing_id
---@field rate? integer kilobits per second of pgm; default 100
---@field recovery_ivl? integer milliseconds for which lost packets of pgm can be asked for; default 10000
---@field sndbuf? integer bytes that the system buffers for each connection; -1, the default: the system's
---@field rcvbuf? integer bytes that the system buffers for each connection; -1, the default: the system's
---@field linger? integer milliseconds for which unsent messages are sent after a close, -1: for ever
---@field reconnect_ivl? integer milliseconds until a lost connection is tried again; default 100, -1: never
---@field backlog? integer connections that wait to be accepted; default 100
---@field reconnect_ivl_max? integer milliseconds to which reconnect_ivl grows, doubling; 0, the default: it does not grow
---@field maxmsgsize? integer bytes in a frame, -1: no limit
---@field sndhwm? integer messages to be sent, for each connection; default 1000, 0: no limit
---@field rcvhwm? integer messages received and not yet read, for each connection; default 1000, 0: no limit
---@field multicast_hops? integer routers that pgm may pass; default 1
---@field rcvtimeo? integer milliseconds, -1: no limit
---@field sndtimeo? integer milliseconds, -1: no limit
---@field router_mandatory? boolean|integer ROUTER: a message to an unknown peer fails with EHOSTUNREACH; by default it is dropped
---@field fail_unroutable? boolean|integer a former name of router_mandatory
---@field router_behavior? boolean|integer a former name of router_mandatory
---@field tcp_keepalive? integer 1 on, 0 off, -1, the default: as the system has it
---@field tcp_keepalive_cnt? integer probes without an answer until the connection is closed; -1, the default: the system's
---@field tcp_keepalive_idle? integer seconds of silence before the first probe; -1, the default: the system's
---@field tcp_keepalive_intvl? integer seconds between probes; -1, the default: the system's
---@field immediate? boolean|integer messages go only to connections that are complete; else they wait for the peer, the default
---@field delay_attach_on_connect? boolean|integer the former name of immediate
---@field xpub_verbose? boolean|integer XPUB: repeated subscriptions are received too
---@field router_raw? boolean|integer ROUTER: peers are plain TCP, as with STREAM, which replaces it
---@field ipv6? boolean|integer uses IPv6 where an address has it, and IPv4; off by default
---@field ipv4only? boolean|integer the contrary of ipv6, its former name
---@field plain_server? boolean|integer this is the server of PLAIN: clients send a name and a password, not encrypted
---@field plain_username? string client of PLAIN: its name
---@field plain_password? string client of PLAIN: its password
---@field curve_server? boolean|integer this is the server of CURVE; needs curve_secretkey
---@field curve_publickey? string 40 characters of Z85, or 32 bytes
---@field curve_secretkey? string 40 characters of Z85, or 32 bytes
---@field curve_serverkey? string 40 characters of Z85, or 32 bytes
---@field probe_router? boolean|integer a connection begins with an empty message, from which a ROUTER learns who is there
---@field req_correlate? boolean|integer REQ: each request has a number, and other answers are dropped
---@field req_relaxed? boolean|integer REQ: a further request may be sent before the answer; with req_correlate
---@field conflate? boolean|integer only the newest message is kept; for messages of one frame. Before bind or connect
---@field zap_domain? string the domain that a ZAP handler is told
---@field zap_enforce_domain? boolean with zap_domain: without a ZAP handler nobody is admitted
---@field router_handover? boolean|integer ROUTER: a newcomer takes the routing id of a peer over. Not for untrusted peers
---@field tos? integer type of service in IP packets; default 0
---@field connect_routing_id? string ROUTER, STREAM: the routing id of the peer that is connected to next
---@field connect_rid? string the former name of connect_routing_id
---@field gssapi_server? boolean|integer this is the server of GSSAPI
---@field gssapi_principal? string GSSAPI: the principal of this side
---@field gssapi_service_principal? string client of GSSAPI: the principal of the server
---@field gssapi_plaintext? boolean|integer GSSAPI without encryption
---@field gssapi_principal_nametype? integer GSSAPI: the kind of name of gssapi_principal, such as zmq.GSSAPI_NT_HOSTBASED
---@field gssapi_service_principal_nametype? integer GSSAPI: that of gssapi_service_principal
---@field handshake_ivl? integer milliseconds in which a new connection must have said what it is; default 30000, 0: no limit
---@field socks_proxy? string HOST:PORT of a SOCKS5 proxy for tcp connections
---@field xpub_nodrop? boolean|integer XPUB: a message for a peer whose queue is full fails with EAGAIN; by default it is dropped
---@field xpub_manual? boolean|integer XPUB: the program decides about each subscription, by subscribe()
---@field xpub_welcome_msg? string XPUB: the first message that a new subscriber gets
---@field xpub_verboser? boolean|integer XPUB: repeated subscriptions and unsubscriptions are received too
---@field stream_notify? boolean|integer STREAM: an empty message tells of each connection and its end; on by default
---@field invert_matching? boolean|integer PUB, XPUB, SUB: messages that match a subscription are the ones that are not sent
---@field heartbeat_ivl? integer milliseconds between heartbeats; 0, the default: none
---@field heartbeat_ttl? integer milliseconds after which the peer gives up, if no heartbeat comes; 0, the default: never
---@field heartbeat_timeout? integer milliseconds to wait for an answer to a heartbeat; default: heartbeat_ivl
---@field connect_timeout? integer milliseconds; 0, the default: the system's
---@field tcp_maxrt? integer milliseconds until unacknowledged data end a tcp connection; 0, the default: the system's
---@field multicast_maxtpdu? integer bytes of a packet of pgm; default 1500
---@field use_fd? integer the number of a listening descriptor for the next bind, such as one of a service manager
---@field bindtodevice? string the name of the network interface that is used; Linux, as root
---@field tcp_accept_filter? string an address such as 192.168.0.0/16 from which connections are accepted; may be set several times
---@field ipc_filter_pid? integer a process from which ipc connections are accepted
---@field ipc_filter_uid? integer a user from whom ipc connections are accepted
---@field ipc_filter_gid? integer a group from which ipc connections are accepted
---@field vmci_buffer_size? integer bytes of the buffer of a vmci connection
---@field vmci_buffer_min_size? integer bytes, at least
---@field vmci_buffer_max_size? integer bytes, at most
---@field vmci_connect_timeout? integer milliseconds; -1, the default: the system's

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

---Whether it was closed.
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

---Subscribes a SUB socket to messages that begin with the topic.
---@param topic string|string[] one, or several
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL (not a SUB), ETERM
function Socket:subscribe(topic) end

---Cancels one subscription to each topic.
---@param topic string|string[] one, or several
---@return true? ok nil on failure
---@return string? message
---@return string? name EINVAL (not a SUB), ETERM
function Socket:unsubscribe(topic) end

---What `bind_to_random_port` takes. With it, random ports of the range are tried.
---@class zmqloop.PortOptions
---@field min? integer the first port of the range; 49152 if nil
---@field max? integer the last port of the range; 65535 if nil
---@field tries? integer how many ports are tried; 100 if nil

---Binds to a free port, which the system chooses unless there are options.
---@param address string without a port, such as "tcp://127.0.0.1"
---@param options? zmqloop.PortOptions
---@return integer? port nil on failure
---@return string? message
---@return string? name EADDRINUSE (after all tries), EINVAL (ipc and inproc have no ports), ETERM
function Socket:bind_to_random_port(address, options) end

---Calls `fn(event)` in the loop for events of the connections. It ends by itself, with the
---event MONITOR_STOPPED, when the socket is closed or by `disable_monitor()`; without an event
---when the loop is closed, and by another `monitor()` of the socket.
---@param fn fun(event: zmqloop.MonitorEvent)|nil nil is `disable_monitor()`
---@param events? zmqloop.MonitorEvents "all" if nil
---@param io_loop? zmqloop.IOLoop IOLoop.current() if nil
---@return true? ok nil on failure
---@return string? message
---@return string? name ETERM, EMFILE, ENOMEM
function Socket:monitor(fn, events, io_loop) end

---A PAIR socket on which the events arrive, for `recv_monitor_message` of `zmqloop.monitor`;
---the same one until it is closed or `disable_monitor()` is called. The caller closes it,
---before or after the socket. PyZMQ: `Socket.get_monitor_socket`.
---@param events? zmqloop.MonitorEvents "all" if nil
---@return zmqloop.Socket? pair nil on failure
---@return string? message
---@return string? name ETERM, EMFILE, ENOMEM
function Socket:get_monitor_socket(events) end

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

---What `Socket:send` takes in place of flags.
---@class zmqloop.SocketSendOptions
---@field flags? integer zmq.DONTWAIT, zmq.SNDMORE or their sum
---@field copy? boolean accepted for compatibility with PyZMQ
---@field track? boolean returns a tracker, which shows when libzmq has released the message
---@field routing_id? integer the peer of a SERVER socket: 1 to 2^32 - 1
---@field group? string of a RADIO socket

---Sends one frame, waiting until the socket can take it (option sndtimeo, in
---milliseconds) or not at all with zmq.DONTWAIT. zmq.SNDMORE: more frames follow.
---Anything but a string or a Frame raises.
---@param data string|zmqloop.Frame
---@param flags? integer|zmqloop.SocketSendOptions zmq.DONTWAIT, zmq.SNDMORE or their sum; or options
---@return true|zmqloop.Tracker|nil ok nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, EMSGSIZE (over norm), EHOSTUNREACH, ETERM
function Socket:send(data, flags) end

---Sends a message of several frames. All are checked before the first is sent. A
---socket with the option conflate cannot: ENOTSUP.
---@param frames (string|zmqloop.Frame)[] at least one
---@param flags? integer|zmqloop.SocketSendOptions zmq.DONTWAIT; or options
---@return true|zmqloop.Tracker|nil ok nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, EHOSTUNREACH, ETERM
function Socket:send_multipart(frames, flags) end

---Receives one frame, waiting for it (option rcvtimeo, in milliseconds) or not at
---all with zmq.DONTWAIT. `get("rcvmore")` shows whether more frames of its message
---follow.
---@param flags? integer zmq.DONTWAIT
---@param copy? boolean false: a Frame in place of a string
---@return string? data nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, ETERM
---@overload fun(self: zmqloop.Socket, flags: integer?, copy: false): zmqloop.Frame?, string?, string?
function Socket:recv(flags, copy) end

---Receives a whole message. If a multipart message has arrived at a socket with
---the option conflate, which libzmq cannot deliver, this and every later receive
---fails with EPROTO.
---@param flags? integer zmq.DONTWAIT
---@param copy? boolean false: Frames in place of strings
---@return string[]? frames nil on failure
---@return string? message
---@return string? name EAGAIN, EFSM, ENOTSUP, ETERM
---@overload fun(self: zmqloop.Socket, flags: integer?, copy: false): zmqloop.Frame[]?, string?, string?
function Socket:recv_multipart(flags, copy) end

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
---@return any value a string or an integer; nil on failure
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
---@return any value a string or an integer
---@return string? message
---@return string? name
function Socket:getsockopt(option) end

---Closes it, with the stream or handler on it. Closing twice is silent.
---@param linger? integer milliseconds for which libzmq still sends, -1 for ever; nil: its option
function Socket:close(linger) end

---Whether it was closed.
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

---Polls sockets and descriptors. Times are milliseconds, as in libzmq. After PyZMQ's Poller.
---@class zmqloop.Poller
---@overload fun(): zmqloop.Poller
local Poller = {}

---Creates an empty poller; `zmq.Poller()` is the same.
---@return zmqloop.Poller poller
function Poller.new() end

---Watches an object, which stays the caller's. Registering it again replaces the events.
---@param object zmqloop.Watchable
---@param events? integer a sum of zmq.POLLIN, zmq.POLLOUT and zmq.POLLERR; POLLIN + POLLOUT if nil;
--- 0 unregisters it
function Poller:register(object, events) end

---Replaces the events of a registered object.
---
---Errors: "not registered"
---@param object zmqloop.Watchable
---@param events? integer as `register` takes
function Poller:modify(object, events) end

---Unregisters an object, which stays open.
---
---Errors: "not registered"
---@param object zmqloop.Watchable
function Poller:unregister(object) end

---Waits until something is ready. Blocks the loop meanwhile. Raises if a socket is closed.
---@param milliseconds? number nil or negative: for ever
---@return {[1]: zmqloop.Watchable, [2]: integer}[]? ready the objects and their events, in order of
--- registration; empty when the time is up; nil on failure
---@return string? message
---@return string? name ETERM
function Poller:poll(milliseconds) end

---The module. The constants are those of the zmq.h it was built with, without ZMQ_; drafts
---are there where libzmq has them.
---@class zmqloop.zmq
---@field Context zmqloop.Context the class of contexts
---@field Socket zmqloop.Socket the class of sockets
---@field Frame zmqloop.Frame the class of frames
---@field Poller zmqloop.Poller polls sockets and descriptors
---@field AFFINITY integer an option of sockets
---@field BACKLOG integer an option of sockets
---@field BINDTODEVICE integer an option of sockets
---@field BLOCKY integer an option of contexts
---@field CONFLATE integer an option of sockets
---@field CONNECT_RID integer an option of sockets
---@field CONNECT_ROUTING_ID integer an option of sockets
---@field CONNECT_TIMEOUT integer an option of sockets
---@field CURVE integer a value of the option mechanism
---@field CURVE_PUBLICKEY integer an option of sockets
---@field CURVE_SECRETKEY integer an option of sockets
---@field CURVE_SERVER integer an option of sockets
---@field CURVE_SERVERKEY integer an option of sockets
---@field DEALER integer a type of sockets
---@field DELAY_ATTACH_ON_CONNECT integer an option of sockets
---@field DONTWAIT integer a flag of `send` and `recv`
---@field EACCES integer the number of an error
---@field EADDRINUSE integer the number of an error
---@field EADDRNOTAVAIL integer the number of an error
---@field EAFNOSUPPORT integer the number of an error
---@field EAGAIN integer the number of an error
---@field EBADF integer the number of an error
---@field EBUSY integer the number of an error
---@field ECHILD integer the number of an error
---@field ECONNABORTED integer the number of an error
---@field ECONNREFUSED integer the number of an error
---@field ECONNRESET integer the number of an error
---@field EFAULT integer the number of an error
---@field EFSM integer the number of an error
---@field EHOSTUNREACH integer the number of an error
---@field EINPROGRESS integer the number of an error
---@field EINTR integer the number of an error
---@field EINVAL integer the number of an error
---@field EMFILE integer the number of an error
---@field EMSGSIZE integer the number of an error
---@field EMTHREAD integer the number of an error
---@field ENAMETOOLONG integer the number of an error
---@field ENETDOWN integer the number of an error
---@field ENETRESET integer the number of an error
---@field ENETUNREACH integer the number of an error
---@field ENOBUFS integer the number of an error
---@field ENOCOMPATPROTO integer the number of an error
---@field ENODEV integer the number of an error
---@field ENOENT integer the number of an error
---@field ENOMEM integer the number of an error
---@field ENOSYS integer the number of an error
---@field ENOTCONN integer the number of an error
---@field ENOTRECOVERABLE integer the number of an error
---@field ENOTSOCK integer the number of an error
---@field ENOTSUP integer the number of an error
---@field EPERM integer the number of an error
---@field EPIPE integer the number of an error
---@field EPROTO integer the number of an error
---@field EPROTONOSUPPORT integer the number of an error
---@field ERANGE integer the number of an error
---@field ETERM integer the number of an error
---@field ETIMEDOUT integer the number of an error
---@field EVENTS integer an option of sockets
---@field EVENT_ACCEPTED integer an event of monitors
---@field EVENT_ACCEPT_FAILED integer an event of monitors
---@field EVENT_ALL integer an event of monitors
---@field EVENT_BIND_FAILED integer an event of monitors
---@field EVENT_CLOSED integer an event of monitors
---@field EVENT_CLOSE_FAILED integer an event of monitors
---@field EVENT_CONNECTED integer an event of monitors
---@field EVENT_CONNECT_DELAYED integer an event of monitors
---@field EVENT_CONNECT_RETRIED integer an event of monitors
---@field EVENT_DISCONNECTED integer an event of monitors
---@field EVENT_HANDSHAKE_FAILED_AUTH integer an event of monitors
---@field EVENT_HANDSHAKE_FAILED_NO_DETAIL integer an event of monitors
---@field EVENT_HANDSHAKE_FAILED_PROTOCOL integer an event of monitors
---@field EVENT_HANDSHAKE_SUCCEEDED integer an event of monitors
---@field EVENT_LISTENING integer an event of monitors
---@field EVENT_MONITOR_STOPPED integer an event of monitors
---@field FAIL_UNROUTABLE integer an option of sockets
---@field FD integer an option of sockets
---@field FORWARDER integer a type of `green.device`
---@field GROUP_MAX_LENGTH integer bytes in the name of a group
---@field GSSAPI integer a value of the option mechanism
---@field GSSAPI_NT_HOSTBASED integer a value of options of gssapi
---@field GSSAPI_NT_KRB5_PRINCIPAL integer a value of options of gssapi
---@field GSSAPI_NT_USER_NAME integer a value of options of gssapi
---@field GSSAPI_PLAINTEXT integer an option of sockets
---@field GSSAPI_PRINCIPAL integer an option of sockets
---@field GSSAPI_PRINCIPAL_NAMETYPE integer an option of sockets
---@field GSSAPI_SERVER integer an option of sockets
---@field GSSAPI_SERVICE_PRINCIPAL integer an option of sockets
---@field GSSAPI_SERVICE_PRINCIPAL_NAMETYPE integer an option of sockets
---@field HANDSHAKE_IVL integer an option of sockets
---@field HEARTBEAT_IVL integer an option of sockets
---@field HEARTBEAT_TIMEOUT integer an option of sockets
---@field HEARTBEAT_TTL integer an option of sockets
---@field HWM integer an option of sockets
---@field IDENTITY integer an option of sockets
---@field IMMEDIATE integer an option of sockets
---@field INVERT_MATCHING integer an option of sockets
---@field IO_THREADS integer an option of contexts
---@field IO_THREADS_DFLT integer that option's default
---@field IPC_FILTER_GID integer an option of sockets
---@field IPC_FILTER_PID integer an option of sockets
---@field IPC_FILTER_UID integer an option of sockets
---@field IPV4ONLY integer an option of sockets
---@field IPV6 integer an option of sockets
---@field LAST_ENDPOINT integer an option of sockets
---@field LINGER integer an option of sockets
---@field MAXMSGSIZE integer an option of sockets
---@field MAX_MSGSZ integer an option of contexts
---@field MAX_SOCKETS integer an option of contexts
---@field MAX_SOCKETS_DFLT integer that option's default
---@field MECHANISM integer an option of sockets
---@field MORE integer a property of frames
---@field MSG_T_SIZE integer an option of contexts
---@field MULTICAST_HOPS integer an option of sockets
---@field MULTICAST_MAXTPDU integer an option of sockets
---@field NOBLOCK integer a flag of `send` and `recv`
---@field NULL integer a value of the option mechanism
---@field PAIR integer a type of sockets
---@field PLAIN integer a value of the option mechanism
---@field PLAIN_PASSWORD integer an option of sockets
---@field PLAIN_SERVER integer an option of sockets
---@field PLAIN_USERNAME integer an option of sockets
---@field POLLERR integer of `poll`
---@field POLLIN integer of `poll`
---@field POLLITEMS_DFLT integer of `poll`
---@field POLLOUT integer of `poll`
---@field POLLPRI integer of `poll`
---@field PROBE_ROUTER integer an option of sockets
---@field PROTOCOL_ERROR_WS_UNSPECIFIED integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_BAD_VERSION integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_INVALID_METADATA integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_MALFORMED_REPLY integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZAP_UNSPECIFIED integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_INVALID_METADATA integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PROTOCOL_ERROR_ZMTP_UNSPECIFIED integer a value of HANDSHAKE_FAILED_PROTOCOL
---@field PUB integer a type of sockets
---@field PULL integer a type of sockets
---@field PUSH integer a type of sockets
---@field QUEUE integer a type of `green.device`
---@field RATE integer an option of sockets
---@field RCVBUF integer an option of sockets
---@field RCVHWM integer an option of sockets
---@field RCVMORE integer an option of sockets
---@field RCVTIMEO integer an option of sockets
---@field RECONNECT_IVL integer an option of sockets
---@field RECONNECT_IVL_MAX integer an option of sockets
---@field RECOVERY_IVL integer an option of sockets
---@field REP integer a type of sockets
---@field REQ integer a type of sockets
---@field REQ_CORRELATE integer an option of sockets
---@field REQ_RELAXED integer an option of sockets
---@field ROUTER integer a type of sockets
---@field ROUTER_BEHAVIOR integer an option of sockets
---@field ROUTER_HANDOVER integer an option of sockets
---@field ROUTER_MANDATORY integer an option of sockets
---@field ROUTER_RAW integer an option of sockets
---@field ROUTING_ID integer an option of sockets
---@field SHARED integer a property of frames
---@field SNDBUF integer an option of sockets
---@field SNDHWM integer an option of sockets
---@field SNDMORE integer a flag of `send` and `recv`
---@field SNDTIMEO integer an option of sockets
---@field SOCKET_LIMIT integer an option of contexts
---@field SOCKS_PROXY integer an option of sockets
---@field SRCFD integer a property of frames
---@field STREAM integer a type of sockets
---@field STREAMER integer a type of `green.device`
---@field STREAM_NOTIFY integer an option of sockets
---@field SUB integer a type of sockets
---@field SUBSCRIBE integer an option of sockets
---@field TCP_ACCEPT_FILTER integer an option of sockets
---@field TCP_KEEPALIVE integer an option of sockets
---@field TCP_KEEPALIVE_CNT integer an option of sockets
---@field TCP_KEEPALIVE_IDLE integer an option of sockets
---@field TCP_KEEPALIVE_INTVL integer an option of sockets
---@field TCP_MAXRT integer an option of sockets
---@field THREAD_AFFINITY_CPU_ADD integer an option of contexts
---@field THREAD_AFFINITY_CPU_REMOVE integer an option of contexts
---@field THREAD_NAME_PREFIX integer an option of contexts
---@field THREAD_PRIORITY integer an option of contexts
---@field THREAD_PRIORITY_DFLT integer that option's default
---@field THREAD_SAFE integer an option of sockets
---@field THREAD_SCHED_POLICY integer an option of contexts
---@field THREAD_SCHED_POLICY_DFLT integer that option's default
---@field TOS integer an option of sockets
---@field TYPE integer an option of sockets
---@field UNSUBSCRIBE integer an option of sockets
---@field USE_FD integer an option of sockets
---@field VERSION integer the version of libzmq that it was built with
---@field VERSION_MAJOR integer the version of libzmq that it was built with
---@field VERSION_MINOR integer the version of libzmq that it was built with
---@field VERSION_PATCH integer the version of libzmq that it was built with
---@field VMCI_BUFFER_MAX_SIZE integer an option of sockets
---@field VMCI_BUFFER_MIN_SIZE integer an option of sockets
---@field VMCI_BUFFER_SIZE integer an option of sockets
---@field VMCI_CONNECT_TIMEOUT integer an option of sockets
---@field XPUB integer a type of sockets
---@field XPUB_MANUAL integer an option of sockets
---@field XPUB_NODROP integer an option of sockets
---@field XPUB_VERBOSE integer an option of sockets
---@field XPUB_VERBOSER integer an option of sockets
---@field XPUB_WELCOME_MSG integer an option of sockets
---@field XREP integer a type of sockets
---@field XREQ integer a type of sockets
---@field XSUB integer a type of sockets
---@field ZAP_DOMAIN integer an option of sockets
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

return zmq
