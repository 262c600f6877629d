-- A finalizer that receives while the same socket receives.
-- Arguments: method, form.
local zmq = require("zmqloop").zmq
local method, copy = ..., select(2, ...) == "copy"
local MESSAGES = 300
local context = zmq.Context()
local a, b = context:socket("PAIR", {sndhwm = 0}), context:socket("PAIR", {rcvhwm = 0})
assert(a:bind("inproc://a"))
assert(b:connect("inproc://a"))
local function part(i, k) return ("%d.%d "):format(i, k) .. ("x"):rep(i * k) end
for i = 1, MESSAGES do
  assert(a:send_multipart{part(i, 1), part(i, 2), part(i, 3), part(i, 4)})
end

local seen, parts = {}, 0

-- Which of two receives got a message is open, but one of them has.
local function note(frames)
  local i = tonumber(tostring(frames[1]):match("^%d+"))
  assert(method == "recv" or #frames == 4, #frames)
  for place, frame in ipairs(frames) do
    local text = tostring(frame)
    local k = method == "recv" and tonumber(text:match("^%d+%.(%d)")) or place
    assert(text == part(i, k) and not seen[text], text)
    seen[text], parts = true, parts + 1
  end
end

local function receive()
  if method == "recv_multipart" then return b:recv_multipart(zmq.DONTWAIT, copy) end
  local frame, _, name = b:recv(zmq.DONTWAIT, copy)
  assert(frame or name == "EAGAIN", name)
  return frame and {frame}
end

local failure, over
local collector = require("spec.collector")
local function finalizer()
  if over then return end
  local ok, err = pcall(function()
    local frames = receive()
    if frames then note(frames) end
  end)
  if not ok then failure = err end
  collector.finalized(finalizer)
end

collector.set(0, collector.WHOLE)
collector.finalized(finalizer)
repeat
  local frames = receive()
  if frames then note(frames) end
until parts == 4 * MESSAGES or failure or not frames
over = true
assert(not failure, failure)
assert(parts == 4 * MESSAGES, parts)
context:destroy(0)
print("ok")
