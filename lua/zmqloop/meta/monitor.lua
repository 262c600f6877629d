---@meta zmqloop.monitor

-- Events of a socket's connections.

---What a monitor tells.
---@class zmqloop.MonitorEvent
---@field event integer its number, such as zmq.EVENT_CONNECTED
---@field name string such as "CONNECTED"
---@field value integer a descriptor (CONNECTED, LISTENING, ACCEPTED, CLOSED, DISCONNECTED), an
--- interval in milliseconds (CONNECT_RETRIED), the number of an error (CONNECT_DELAYED, *_FAILED), of
--- a protocol error, or a ZAP status (300, 400, 500); else 0
---@field endpoint string the address
---@field error? string if the value is an error its name, such as "ECONNREFUSED" or
--- "ZMTP_MECHANISM_MISMATCH"

---"all", a name such as "CONNECTED", in capitals or not, a list of names, or a sum of
---zmq.EVENT_*; nil is "all".
---@alias zmqloop.MonitorEvents string|string[]|integer

---The module: for sockets that `get_monitor_socket` returns.
---@class zmqloop.monitor
local monitor = {}

---Parses a message of a monitor's socket. Raises if it is not one. PyZMQ:
---`parse_monitor_message`.
---@param frames string[]
---@return zmqloop.MonitorEvent event
function monitor.parse_monitor_message(frames) end

---Receives the next event. Waits for it, unless flags are zmq.DONTWAIT.
---@param socket zmqloop.Socket one that `get_monitor_socket` has returned
---@param flags? integer zmq.DONTWAIT
---@return zmqloop.MonitorEvent? event nil on failure
---@return string? message
---@return string? name EAGAIN, ETERM
function monitor.recv_monitor_message(socket, flags) end

return monitor
