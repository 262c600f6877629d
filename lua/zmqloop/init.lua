--- zmqloop: an event loop for ZeroMQ, PyZMQ's eventloop for Lua.
local core = require("zmqloop.core")
local ioloop = require("zmqloop.ioloop")
local locks = require("zmqloop.locks")
local queues = require("zmqloop.queues")
local task = require("zmqloop.task")
local zmqstream = require("zmqloop.zmqstream")

return {
  IOLoop = ioloop.IOLoop,
  ZMQIOLoop = ioloop.ZMQIOLoop,
  DelayedCallback = ioloop.DelayedCallback,
  PeriodicCallback = ioloop.PeriodicCallback,
  ZMQPoller = ioloop.ZMQPoller,
  ZMQStream = zmqstream.ZMQStream,
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
  Event = locks.Event,
  Condition = locks.Condition,
  Semaphore = locks.Semaphore,
  BoundedSemaphore = locks.BoundedSemaphore,
  Lock = locks.Lock,
  Queue = queues.Queue,
  PriorityQueue = queues.PriorityQueue,
  LifoQueue = queues.LifoQueue,
  zmq = require("zmqloop.zmq"),
  _VERSION = "zmqloop " .. core.version_string,
}
