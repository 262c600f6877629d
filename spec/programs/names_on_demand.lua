-- Which modules are loaded when which names are asked for.
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")
local asked = {
  {"periodic", function() return zmqloop.PeriodicCallback == ioloop.PeriodicCallback end},
  {"poller", function() return ioloop.ZMQPoller == zmqloop.ZMQPoller end},
  {"poll", function() return zmqloop.zmq.Poller() end},
  {"monitor", function() return zmqloop.zmq.Socket.monitor == zmqloop.zmq.Socket.monitor end},
  {"blocked", function() return ioloop.IOLoop.log_stack ~= nil end},
  {"async.future", function() return zmqloop.Future() end},
  {"async.task", function() return zmqloop.IOLoop():run_sync(function() return true end) end},
  {"async.queues", function() return zmqloop.Queue == require("zmqloop.queues").Queue end},
}
for _, each in ipairs(asked) do
  local name, ask = each[1], each[2]
  assert(not package.loaded["zmqloop." .. name], name .. " is loaded too early")
  assert(ask(), name)
  assert(package.loaded["zmqloop." .. name], name .. " is not loaded")
end
assert(zmqloop.ZMQStream.monitor and zmqloop.Lock and zmqloop.nothing == nil)
print("done")
