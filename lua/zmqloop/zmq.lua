--- zmqloop.zmq: contexts, sockets, constants.
-- The counterpart of PyZMQ's `zmq`. Times are in milliseconds, as in libzmq (poll, linger,
-- rcvtimeo). Failures return nil, "EADDRINUSE: address already in use (tcp://...)", "EADDRINUSE";
-- misuse raises.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("zmq") then
  return classes.registered("zmq")
end

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md

local zmq = {}
for name, value in pairs_of(core.constants) do
  zmq[name] = value
end

-- zmq.h hides it among the drafts, but libzmq has the option without them too.
zmq.ZAP_ENFORCE_DOMAIN = zmq.ZAP_ENFORCE_DOMAIN or 93

zmq.has = core.has
zmq.version = core.version
zmq.proxy = core.proxy
zmq.curve_keypair = core.curve_keypair
zmq.curve_public = core.curve_public
zmq.z85_encode = core.z85_encode
zmq.z85_decode = core.z85_decode

-- ---- frames ----------------------------------------------------------------------------------

--- A part of a message in libzmq's memory, created from a string: zmq.Frame("data").
-- Its methods are annotated in meta/frame.lua.
zmq.Frame = setmetatable({new = core.new_frame}, {
  __index = core.Frame,
  __call = function(_, data) return core.new_frame(data) end,
})

-- ---- classes ---------------------------------------------------------------------------------

zmq.Context = require("zmqloop.context").Context
zmq.Socket = require("zmqloop.socket").Socket

return classes.register("zmq", classes.extend(zmq, {Poller = "poll"}))
