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
  Future = "async.future", CANCELLED = "async.future", traceback = "trace",
  Task = "async.task", spawn = "async.task", sleep = "async.task", await = "async.task",
  with_timeout = "async.task", pcall = "async.task", xpcall = "async.task",
  current_task = "async.task",
  gather = "async.combine", as_completed = "async.combine", shield = "async.combine",
  Event = "async.locks", Condition = "async.locks", Semaphore = "async.locks",
  BoundedSemaphore = "async.locks", Lock = "async.locks",
  Queue = "async.queues", PriorityQueue = "async.queues", LifoQueue = "async.queues",
})
