-- Finalizers that send in the middle of another send, in a heap so small that they run often.
local collector = require("spec.collector")
local zmq, loop = zmqloop.zmq, new_loop()
local ctx = zmq.Context()

-- A stream, and the socket that receives what it sends.
local function sender_and_peer(address)
  local bound, peer = ctx:socket("PAIR", {bind = address}), ctx:socket("PAIR", {connect = address})
  return zmqloop.ZMQStream(bound, loop), peer
end

local function check(sent, received)
  local got, expected = table.concat(received, "|"), table.concat(sent, "|")
  if got ~= expected then error(("%s came, not %s"):format(got, expected), 0) end
end

local outer, outer_peer = sender_and_peer("inproc://outer")
local inner, inner_peer = sender_and_peer("inproc://inner")
local began, ended, over = 0, 0, false

local function send_inner()
  if over then return end
  began = began + 1
  assert(inner:send_multipart{tostring(began), "of a finalizer", "of three frames"})
end

-- Generational from 5.4 on: else each step is a whole collection.
collector.set(1, 200, "generational")
for i = 1, 3000 do
  local number = tostring(i)
  if i % 500 == 0 then collectgarbage() end -- in the generational mode the heap may be large
  collector.finalized(send_inner)
  -- Lists of several lengths, or LuaJIT needs but one trace for all.
  local mine = {number, number .. " outer"}
  for j = 3, 2 + i % 5 do mine[j] = number .. "." .. j end
  collector.finalized(send_inner)
  assert(outer:send_multipart(mine))
  local sent = {mine} -- an allocation that is compiled together with the send
  check(sent[1], outer_peer:recv_multipart())
  while ended < began do
    ended = ended + 1
    check({tostring(ended), "of a finalizer", "of three frames"}, inner_peer:recv_multipart())
  end
end
over = true
assert(ended > 0)
print("all as they were sent")
