--- zmqloop: an event loop for ZeroMQ, PyZMQ's eventloop for Lua.
local core = require("zmqloop.core")
local ioloop = require("zmqloop.ioloop")

return require("zmqloop.class").extend({
  IOLoop = ioloop.IOLoop,
  ZMQIOLoop = ioloop.ZMQIOLoop,
  ZMQStream = require("zmqloop.zmqstream").ZMQStream,
  install = ioloop.install,
  zmq = require("zmqloop.zmq"),
  preload = require("zmqloop.modules").preload,
  _VERSION = "zmqloop " .. core.version_string,
}, {
  DelayedCallback = ioloop, PeriodicCallback = ioloop, ZMQPoller = ioloop,
  Future = "future", CANCELLED = "future", traceback = "trace",
  spawn = "task", sleep = "task", await = "task", gather = "task", as_completed = "task",
  with_timeout = "task", shield = "task", pcall = "task", xpcall = "task",
  current_task = "task",
  Event = "locks", Condition = "locks", Semaphore = "locks", BoundedSemaphore = "locks",
  Lock = "locks",
  Queue = "queues", PriorityQueue = "queues", LifoQueue = "queues",
})
