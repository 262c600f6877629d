-- Sends on sockets and streams of the parent in a forked process.
local process, zmq, green = require("process"), zmqloop.zmq, require("zmqloop.green")
local loop = new_loop()
loop:make_current()
local ctx, green_ctx = zmq.Context(), green.Context()
local function pair(context, name)
  local address = "inproc://" .. name
  return context:socket("PAIR", {bind = address}), context:socket("PAIR", {connect = address})
end
local plain, peer = pair(ctx, "plain")
local coloured, green_peer = pair(green_ctx, "green")
local under, stream_peer = pair(ctx, "stream")
local stream = zmqloop.ZMQStream(under, loop)
local function frame() return zmq.Frame("x") end
local calls = {
  plain = function() return plain:send("x") end,
  ["plain, frame"] = function() return plain:send(frame()) end,
  ["plain, parts"] = function() return plain:send_multipart{"x", "y"} end,
  green = function() return coloured:send("x") end,
  ["green, parts"] = function() return coloured:send_multipart{"x", "y"} end,
  stream = function() return stream:send("x") end,
  ["stream, callback"] = function() return stream:send("x", print) end,
  ["stream, frame"] = function() return stream:send(frame()) end,
  ["stream, parts"] = function() return stream:send_multipart{"x", "y"} end,
}
local pid = process.fork()
if pid == 0 then
  for name, call in pairs(calls) do
    local sent = 0
    for _ = 1, 200 do
      local result, _, code = call()
      if result or code ~= "ECHILD" then sent = sent + 1 end
    end
    if sent > 0 then print(name, sent) end
  end
  local own, own_peer = pair(zmq.Context(), "own")
  own:send("the child's own")
  print(own_peer:recv())
  process.leave(0)
end
assert(process.wait(pid) == 0)
assert(plain:send("1") and stream:send("2") and coloured:send("3"))
print(peer:recv(), stream_peer:recv(), green_peer:recv())
