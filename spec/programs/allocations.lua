-- Counts what small messages allocate outside of Lua.
local count = require("malloccount")
local zmq = zmqloop.zmq
local loop, ctx = new_loop(), zmq.Context{linger = 0}
local DATA, FRAMES = ("x"):rep(16), {"a", ("x"):rep(16), ""}

local function sockets(kind1, kind2, transport, hwm)
  local a, b = ctx:socket(kind1, {hwm = hwm}), ctx:socket(kind2, {hwm = hwm})
  assert(a:bind(transport == "tcp" and "tcp://127.0.0.1:*" or "inproc://" .. tostring(a)))
  assert(b:connect(a:get("last_endpoint")))
  return a, b
end

-- Sends `many` messages and runs the loop until they are there.
local function streams(transport, hwm, copy, many, send)
  local a, b = sockets("PULL", "PUSH", transport, hwm)
  local pull, push = zmqloop.ZMQStream(a, loop), zmqloop.ZMQStream(b, loop)
  local missing = 0
  pull:on_recv(function() missing = missing - 1 end, copy)
  return function()
    missing = many
    for _ = 1, many do assert(send(push)) end
    while missing > 0 do loop:step(1) end
  end
end

local function one(stream) return stream:send(DATA) end
local function three(stream) return stream:send_multipart(FRAMES) end
local function nothing() end
local function reported(stream) return stream:send(DATA, nothing) end

local a, b = sockets("PAIR", "PAIR", "inproc")
local router, dealer = sockets("ROUTER", "DEALER", "tcp")
local echo, client = zmqloop.ZMQStream(router, loop), zmqloop.ZMQStream(dealer, loop)
local missing = 0
echo:on_recv(function(frames) echo:send_multipart(frames) end)
client:on_recv(function() missing = missing - 1 end)

local cases = {
  {"inproc", streams("inproc", nil, nil, 200, one)},
  {"tcp", streams("tcp", nil, nil, 200, one)},
  {"frames of three", streams("inproc", nil, nil, 60, three)},
  {"unpack", streams("inproc", nil, {unpack = true}, 60, three)},
  {"Frames", streams("inproc", nil, false, 60, three)},
  {"a Frame sent", streams("inproc", nil, nil, 200, function(it)
    return it:send(zmq.Frame(DATA))
  end)},
  {"queued", streams("inproc", 1, nil, 200, one)},
  {"queued over tcp", streams("tcp", 1, nil, 60, three)},
  {"reported", streams("inproc", nil, nil, 200, reported)},
  {"queued and reported", streams("inproc", 1, nil, 200, reported)},
  {"echo", function()
    missing = 60
    for _ = 1, missing do assert(client:send(DATA)) end
    while missing > 0 do loop:step(1) end
  end},
  {"sockets", function()
    for _ = 1, 200 do assert(a:send(DATA)) end
    for _ = 1, 200 do assert(b:recv()) end
  end},
  {"sockets with three", function()
    for _ = 1, 60 do assert(a:send_multipart(FRAMES)) end
    for _ = 1, 60 do assert(b:recv_multipart()) end
  end},
  {"nothing there", function()
    for _ = 1, 200 do assert(select(3, a:recv(zmq.DONTWAIT)) == "EAGAIN") end
  end},
}

local function repeat_all(times)
  for _, case in ipairs(cases) do
    for _ = 1, times do case[2]() end
  end
end

repeat_all(20)
local made = count.count()
assert(made > 0, "it does not count")
count.watch()
repeat_all(20)
for _, case in ipairs(cases) do
  local before = count.count()
  for _ = 1, 20 do case[2]() end
  print(("%s: %d"):format(case[1], count.count() - before))
end
