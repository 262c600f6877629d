-- A child that ends right after it has sent a message, which has to arrive.
local process = require("process")
local zmq = zmqloop.zmq
local pull = zmq.Context():socket("PULL", {rcvtimeo = 10000})
local port = pull:bind_to_random_port("tcp://127.0.0.1")
local pid = process.fork()
if pid == 0 then
  local context = zmq.Context()
  context:socket("PUSH", {connect = "tcp://127.0.0.1:" .. port}):send("from the child")
  context = nil
  return
end
print(pull:recv())
assert(process.wait(pid) == 0)
