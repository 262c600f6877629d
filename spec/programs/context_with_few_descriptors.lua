-- Contexts and sockets with too few descriptors.
local zmq = zmqloop.zmq
local taken = {}
local spare = zmq.Context()
assert(spare:socket("PULL"))
repeat
  local file = io.open("/dev/null")
  taken[#taken + 1] = file
until not file
while #taken > 0 do
  local ctx, _, name = zmq.Context()
  local socket
  if ctx then socket, _, name = ctx:socket("PULL") end
  if socket then
    local ok
    ok, _, name = socket:bind("tcp://127.0.0.1:*")
    if ok then break end
  end
  assert(name == "EMFILE", name)
  if socket then socket:close() end
  if ctx then ctx:term() end
  table.remove(taken):close()
end
print(#taken > 0)
