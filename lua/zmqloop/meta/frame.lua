---@meta _

-- Frames (`zmq.Frame`) and trackers, which are written in C.

---A part of a message in libzmq's memory. Its bytes become a Lua string only on
---request, and sending it shares them. Frames come from `zmq.Frame(data)`, from
---`on_recv` and from a socket's `recv` with copy=false. `#frame` is its size in
---bytes, `tostring(frame)` the same as `data`.
---
---An unreferenced frame is collected as soon as a string of its size would be;
---closing one releases its bytes at once, and everything but `close` and `closed`
---then raises "frame is closed". After PyZMQ's Frame.
---@class zmqloop.Frame
---@overload fun(data: string): zmqloop.Frame
local Frame = {}

---Creates a frame, not received, from a string; `zmq.Frame(data)` is the same.
---@param data string
---@return zmqloop.Frame frame
function Frame.new(data) end

---The bytes.
---@return string bytes a copy
function Frame:data() end

---Part of the bytes, by the rules of `string.sub`, without copying the rest.
---@param i integer the first place, from 1; negative: from the end
---@param j? integer the last place; -1, the end, is the default
---@return string bytes
function Frame:sub(i, j) end

---The address of the bytes, for other bindings and LuaJIT's ffi. Valid until the
---frame is closed or collected.
---@return lightuserdata
function Frame:pointer() end

---Whether more frames of its message follow, as it was received.
---@return boolean
function Frame:more() end

---A property of a received frame. PyZMQ: `Frame.get`.
---@param property string|integer "User-Id", "Peer-Address", "Socket-Type", a header of the peer's
--- metadata, or a constant such as zmq.MORE
---@return string|integer|nil value nil: it has none
function Frame:get(property) end

---The peer that a frame came from or is for, by SERVER sockets, which are drafts of
---libzmq.
---@param id? integer sets it: 1 to 2^32 - 1
---@return integer|boolean|nil id true when it was set; nil: it has none, or a failure
---@return string? message
---@return string? name ENOTSUP: libzmq was built without drafts
function Frame:routing_id(id) end

---The group of a frame, for RADIO and DISH sockets, which are drafts of libzmq.
---@param name? string sets it: at most 255 bytes without zeros
---@return string|boolean|nil group true when it was set; nil on failure
---@return string? message
---@return string? name ENOTSUP: libzmq was built without drafts; EINVAL: too long
function Frame:group(name) end

---Releases the bytes now. Messages that share them keep them. Closing twice is
---silent.
function Frame:close() end

---Whether `close` was called.
---@return boolean
function Frame:closed() end

---Shows when libzmq has released a message sent with `track = true`: it was
---written to the network, its receiver in this process has released it, or it was
---dropped. After PyZMQ's MessageTracker.
---@class zmqloop.Tracker
local Tracker = {}

---Whether libzmq has released the message.
---@return boolean
function Tracker:done() end

---Waits until it is done. Blocks the loop meanwhile.
---@param seconds? number nil: for ever
---@return true? done nil on failure
---@return string? message
---@return string? name ETIMEDOUT
function Tracker:wait(seconds) end
