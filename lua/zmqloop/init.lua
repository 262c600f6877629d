--- zmqloop: an event loop for ZeroMQ, PyZMQ's eventloop for Lua.
local core = require("zmqloop.core")
local ioloop = require("zmqloop.ioloop")
local zmqstream = require("zmqloop.zmqstream")

return {
  IOLoop = ioloop.IOLoop,
  ZMQIOLoop = ioloop.ZMQIOLoop,
  DelayedCallback = ioloop.DelayedCallback,
  PeriodicCallback = ioloop.PeriodicCallback,
  ZMQPoller = ioloop.ZMQPoller,
  ZMQStream = zmqstream.ZMQStream,
  install = ioloop.install,
  zmq = require("zmqloop.zmq"),
  _VERSION = "zmqloop " .. core.version_string,
}
