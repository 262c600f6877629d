-- Frames that are dropped at the end of a program.
local how, objects = ...
local status = io.open("/proc/self/status")
if not status then print(0) return end
local zmq = zmqloop.zmq
local heap = {}
for i = 1, tonumber(objects) do heap[i] = {i} end
local ctx = zmq.Context()
local a, b = ctx:socket("PAIR"), ctx:socket("PAIR")
a:bind("inproc://x")
b:connect("inproc://x")
local megabyte = ("x"):rep(1024 * 1024)
for _ = 1, 3000 do
  if how == "make" then
    zmq.Frame(megabyte)
  else
    assert(a:send(megabyte))
    local frame
    if how == "list" then
      frame = b:recv_multipart(0, false)[1]
    else
      frame = b:recv(0, false)
    end
    assert(#frame == #megabyte)
    if how == "close" then frame:close() end
  end
end
print(tonumber(status:read("*a"):match("VmHWM:%s*(%d+)")) / 1024)
assert(heap)
