-- Calls on plain sockets of the parent in a forked process.
local process, zmq = require("process"), zmqloop.zmq
local ctx = zmq.Context()
local a = ctx:socket("PAIR", {bind = "inproc://a"})
local b = ctx:socket("PAIR", {connect = "inproc://a"})
local poller = zmq.Poller()
poller:register(a, zmq.POLLIN)
local calls = {
  send = function() return a:send("x") end,
  ["send, a part"] = function() return a:send("x", zmq.SNDMORE) end,
  send_multipart = function() return a:send_multipart{"x", "y"} end,
  recv = function() return b:recv() end,
  recv_multipart = function() return b:recv_multipart(zmq.DONTWAIT) end,
  ["poll(0)"] = function() return a:poll(0) end,
  ["poll()"] = function() return b:poll() end,
  poller = function() return poller:poll(1000) end,
  events = function() return a:get("events") end,
  bind = function() return a:bind("inproc://b") end,
  connect = function() return a:connect("inproc://b") end,
  disconnect = function() return b:disconnect("inproc://a") end,
  unbind = function() return a:unbind("inproc://a") end,
  monitor = function() return a:monitor(print) end,
  proxy = function() return zmq.proxy(a, b) end,
  socket = function() return ctx:socket("PAIR") end,
}
local pid = process.fork()
if pid == 0 then
  for name, call in pairs(calls) do
    local result, _, code = call()
    if result or code ~= "ECHILD" then print(name, result, code) end
  end
  a:close()
  b:close()
  print("ends")
  process.leave(0)
end
assert(process.wait(pid) == 0)
assert(a:send("x") and b:recv() == "x") -- the parent's, as before
print("parent goes on")
