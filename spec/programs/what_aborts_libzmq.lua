-- What libzmq would accept, only to end the process. Argument: the case.
local case = ...
local zmq = zmqloop.zmq
local ctx = zmq.Context{linger = 0}
local function pause() zmq.Poller():poll(10) end
local cases = {}

function cases.multicast_addresses()
  for _, address in ipairs{"norm://x", "norm://:", "norm://;:5", "norm://1,:5", "norm://:5999",
      "norm://[::1]:5999", "norm://nowhere99;224.1.2.3:5999", "norm://lo;lo;224.1.2.3:5999",
      "norm://1,2,127.0.0.1:5999", "norm://127.0.0.1:0", "norm://127.0.0.1:70000",
      "norm://127.0.0.1:5x", "norm://" .. ("x"):rep(300) .. ":5999", "pgm://x", "epgm://x",
      "epgm://nowhere99;239.192.1.1:5555", "epgm://" .. ("x"):rep(100) .. ":5",
      "pgm://" .. ("x"):rep(64) .. ";239.192.1.1:5555", "epgm://[]:-1", "epgm://lo;127.0.0.1:5",
      "epgm://lo;239.192.1.1:*"} do
    for _, kind in ipairs{"PUB", "SUB"} do
      for _, act in ipairs{"bind", "connect"} do
        print(act, kind, address)
        local socket = ctx:socket(kind)
        local ok, message = socket[act](socket, address)
        assert(ok == nil and message:find(address:sub(1, 100), 1, true), message)
        socket:close()
      end
    end
  end
  pause()
end

function cases.norm_port_in_use()
  local first, second = ctx:socket("PUB"), ctx:socket("PUB")
  assert(first:connect("norm://127.0.0.1:51877"))
  local name
  for _ = 1, 1000 do -- until libzmq's thread has bound it
    pause()
    local probe = io.open("/proc/net/udp"):read("*a")
    if probe:find(":CAA5", 1, true) then break end
  end
  name = select(3, second:connect("norm://127.0.0.1:51877"))
  assert(name == "EADDRINUSE", name)
  pause()
end

function cases.norm_frames()
  local loop = new_loop()
  local most, pub = ("x"):rep(2038), ctx:socket("PUB")
  local long = most .. "x"
  assert(pub:send(long))
  assert(pub:connect("norm://127.0.0.1:51878"))
  local stream = zmqloop.ZMQStream(ctx:socket("XPUB"), loop)
  assert(stream:connect("norm://127.0.0.1:51879"))
  for _, it in ipairs{pub, stream} do
    for _, message in ipairs{{long}, {"a", long}, {zmq.Frame(long)}} do
      local ok, text, name = it:send_multipart(message)
      assert(name == "EMSGSIZE", tostring(ok) .. tostring(text))
    end
    local _, _, name = it:send(long)
    assert(name == "EMSGSIZE")
    assert(it:send(most) and it:send_multipart{most, most})
  end
  pause()
  stream:close()
  loop:close()
end

function cases.pgm_options()
  for option, value in pairs{multicast_hops = 256, multicast_maxtpdu = 35, rate = 11} do
    print(option)
    local socket = ctx:socket("PUB", {[option] = value})
    local _, _, name = socket:connect("epgm://;239.192.1.1:5555")
    assert(name == (zmq.has("pgm") and "EINVAL" or "EPROTONOSUPPORT"), name)
  end
  pause()
end

function cases.raw_rep()
  local raw = zmq.Context{router_raw = 1}
  local rep = raw:socket("REP", {bind = "tcp://127.0.0.1:*"})
  local req = ctx:socket("REQ", {connect = rep:get("last_endpoint")})
  req:send("request")
  assert(rep:recv() == "request")
  raw:destroy(0)
end

function cases.mandatory_rep()
  local rep = ctx:socket("REP", {bind = "tcp://127.0.0.1:*"})
  rep:set("router_mandatory", 1)
  local req = ctx:socket("REQ", {connect = rep:get("last_endpoint")})
  req:send("request")
  assert(rep:poll(1000) == zmq.POLLIN)
  req:close()
  for _ = 1, 20 do
    pause()
    rep:poll(0)
  end
  local message, _, name = rep:recv(zmq.DONTWAIT)
  assert(message == "request" or name == "EAGAIN", name)
end

function cases.raw_router_probes()
  local raw = zmq.Context{router_raw = 1, probe_router = 1}
  local listener = ctx:socket("STREAM", {bind = "tcp://127.0.0.1:*"})
  local _ = raw:socket("ROUTER", {connect = listener:get("last_endpoint")})
  assert(#listener:recv_multipart() == 2)
  pause()
  raw:destroy(0)
end

-- The pipe keeps the last frame written, here the first of a message.
local function half_a_message()
  local push = ctx:socket("PUSH", {bind = "inproc://half"})
  local pull = ctx:socket("PULL", {conflate = 1, connect = "inproc://half"})
  local function send_half()
    assert(push:send("whole"))
    assert(push:send("half", zmq.SNDMORE))
  end
  return pull, push, send_half
end

function cases.conflating_receiver()
  local pull, push, send_half = half_a_message()
  assert(push:send("whole"))
  assert(pull:recv() == "whole")
  send_half()
  for _, method in ipairs{"recv_multipart", "recv", "recv"} do
    local _, _, name = pull[method](pull, zmq.DONTWAIT)
    assert(name == "EPROTO", name)
  end
end

function cases.conflating_streams()
  local pull, _, send_half = half_a_message()
  local loop = new_loop()
  local receiver, failed = zmqloop.ZMQStream(pull, loop)
  receiver:on_error(function(...)
    failed = table.concat({...}, " ", 2)
    loop:stop()
  end)
  receiver:on_recv(function() error("half a message was delivered") end)
  send_half()
  loop:start()
  assert(failed:find("EPROTO"), failed)
  local sender = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
  sender:set("conflate", 1)
  sender:connect("inproc://half")
  local _, _, name = sender:send_multipart{"a", "b"}
  assert(name == "ENOTSUP", name)
  assert(sender:send("a"))
  loop:close()
end

function cases.conflating_connection()
  local loop = new_loop()
  local rep = zmqloop.ZMQStream(ctx:socket("REP"), loop)
  local dealer = ctx:socket("DEALER", {conflate = 1})
  assert(rep:bind("inproc://rep") and dealer:connect("inproc://rep"))
  local _, _, name = dealer:set("conflate", 0)
  assert(name == "EINVAL" and dealer:get("conflate") == 1)
  rep:on_recv(function() end)
  for _ = 1, 3 do
    dealer:send("whole", zmq.DONTWAIT)
    dealer:send("", zmq.SNDMORE + zmq.DONTWAIT)
    for _ = 1, 3 do loop:step(0.01) end
    dealer:send("rest", zmq.DONTWAIT)
  end
  loop:close()
end

function cases.conflating_proxy()
  local pull, _, send_half = half_a_message()
  local out = ctx:socket("PUSH", {bind = "inproc://out"})
  local sink = ctx:socket("PULL", {connect = "inproc://out"})
  send_half()
  local _, _, name = zmq.proxy(pull, out)
  assert(name == "EPROTO", name)
  sink:close()
end

local kinds = {{"DEALER", "ROUTER"}, {"REQ", "REP"}, {"PUB", "SUB"}, {"XPUB", "XSUB"}}
local function pair(from, to, name)
  local sender = ctx:socket(from, {bind = name})
  local receiver = ctx:socket(to, {connect = name})
  if to == "SUB" then receiver:subscribe("") end
  if to == "XSUB" then
    receiver:send("\1")
    sender:recv()
  end
  return sender, receiver
end

function cases.part_received()
  local push, pull = pair("PUSH", "PULL", "inproc://x")
  local _ = ctx:socket("PUSH", {bind = "inproc://other"})
  pull:connect("inproc://other")
  push:send_multipart{"a", "b"}
  assert(pull:recv() == "a")
  local _, message, name = pull:disconnect("inproc://x")
  assert(name == "EFSM" and message:find("inproc://x", 1, true), message)
  assert(pull:recv() == "b")
  assert(pull:disconnect("inproc://x"))
  _, _, name = pull:recv(zmq.DONTWAIT)
  assert(name == "EAGAIN", name)
end

function cases.part_looked_at()
  local looks = {
    function(it) assert(it:poll(1000) == zmq.POLLIN) end,
    function(it) assert(it:get("events") % 2 == 1) end,
    function(it)
      local poller = zmq.Poller()
      poller:register(it, zmq.POLLIN)
      assert(#poller:poll(1000) == 1)
    end,
    function(it)
      local loop = new_loop()
      loop:add_handler(it, function() loop:stop() end, loop.READ)
      loop:start()
      loop:close()
    end,
  }
  for i, kind in ipairs(kinds) do
    for j, look in ipairs(looks) do
      print(kind[2], j)
      local name = ("inproc://%d.%d"):format(i, j)
      local sender, receiver = pair(kind[1], kind[2], name)
      local _ = ctx:socket(kind[1], {bind = name .. "other"})
      receiver:connect(name .. "other")
      sender:send_multipart{"a", "b"}
      look(receiver)
      local _, _, failure = receiver:disconnect(name)
      assert(failure == "EFSM", failure)
      local frames = receiver:recv_multipart()
      assert(frames[#frames] == "b")
      assert(receiver:disconnect(name))
      _, _, failure = receiver:recv(zmq.DONTWAIT)
      assert(failure == (kind[2] == "REP" and "EFSM" or "EAGAIN"), failure)
    end
  end
end

function cases.part_on_a_stream()
  local loop = new_loop()
  for i, kind in ipairs(kinds) do
    for _, looked in ipairs{true, false} do
      print(kind[2], looked)
      local name = ("inproc://%d%s"):format(i, tostring(looked))
      local sender, receiver = pair(kind[1], kind[2], name)
      local _ = ctx:socket(kind[1], {bind = name .. "other"})
      receiver:connect(name .. "other")
      sender:send_multipart{"a", "b"}
      if looked then assert(receiver:poll(1000) == zmq.POLLIN) end
      local stream = zmqloop.ZMQStream(receiver, loop)
      assert(stream:disconnect(name))
      stream:on_recv(function(frames)
        assert(frames[#frames] == "b")
        loop:stop()
      end)
      loop:start()
      loop:step(0)
      stream:close()
    end
  end
  loop:close()
end

cases[case]()
assert(ctx:destroy(0))
print("survived")
