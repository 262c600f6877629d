--- zmqloop: an event loop for ZeroMQ, PyZMQ's eventloop for Lua.
local core = require("zmqloop.core")
local ioloop = require("zmqloop.ioloop")
local task = require("zmqloop.task")

return require("zmqloop.lazy")({
  IOLoop = ioloop.IOLoop,
  ZMQIOLoop = ioloop.ZMQIOLoop,
  ZMQStream = require("zmqloop.zmqstream").ZMQStream,
  Future = require("zmqloop.future").Future,
  install = ioloop.install,
  spawn = task.spawn,
  sleep = task.sleep,
  await = task.await,
  gather = task.gather,
  as_completed = task.as_completed,
  with_timeout = task.with_timeout,
  shield = task.shield,
  pcall = task.pcall,
  CANCELLED = task.CANCELLED,
  zmq = require("zmqloop.zmq"),
  _VERSION = "zmqloop " .. core.version_string,
}, {
  DelayedCallback = ioloop, PeriodicCallback = ioloop, ZMQPoller = ioloop,
  Event = "locks", Condition = "locks", Semaphore = "locks", BoundedSemaphore = "locks",
  Lock = "locks",
  Queue = "queues", PriorityQueue = "queues", LifoQueue = "queues",
})
