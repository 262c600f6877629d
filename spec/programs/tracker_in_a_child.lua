-- A tracker, and a forked process that lets go of its frame.
local process = require("process")
local context = zmqloop.zmq.Context()
local pull = context:socket("PULL", {bind = "inproc://a"})
local push = context:socket("PUSH", {connect = "inproc://a"})
local tracker = push:send(("x"):rep(10000), {track = true})
local frame = pull:recv_multipart(0, false)[1]
print(tracker:wait(0))
local pid = process.fork()
if pid == 0 then
  frame = nil
  collectgarbage()
  collectgarbage()
  local ok, _, name = tracker:wait(0)
  process.leave((ok or name == "ECHILD") and 0 or 1)
end
assert(process.wait(pid) == 0)
local start = os.clock()
print(tracker:wait(0.5))
print(os.clock() - start < 0.25)
frame = nil
collectgarbage()
collectgarbage()
print(tracker:wait(10))
