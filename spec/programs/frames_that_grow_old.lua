-- Keeps the last ten frames, and prints the most memory it had, in MiB. Arguments: the
-- collector's mode, how many other objects there are.
local mode, objects = ...
local status = io.open("/proc/self/status")
if not status then print(0) return end
if mode ~= "default" then collectgarbage(mode) end
local heap = {}
for i = 1, tonumber(objects) do heap[i] = {i} end
local last = {}
local megabyte = ("x"):rep(1024 * 1024)
for i = 1, 1500 do
  last[i % 10] = zmqloop.zmq.Frame(megabyte)
end
assert(#last[0] == #megabyte and heap)
print(tonumber(status:read("*a"):match("VmHWM:%s*(%d+)")) / 1024)
