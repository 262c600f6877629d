-- zmqloop, with plain callbacks. SPDX-License-Identifier: MIT
local bench = require("luabench")
local green = require("zmqloop.green")
local ioloop = require("zmqloop.ioloop")
local workloads = require("timers")
local zmq = require("zmqloop.zmq")
local zmqstream = require("zmqloop.zmqstream")

local run = bench.parse(arg)
local loop = ioloop.IOLoop()
loop:on_error("raise")

-- ---- messages ----------------------------------------------------------------------------------

local context, idle = nil, {}

local function open_stream(socket_type, endpoint, options)
  local stream = zmqstream.ZMQStream(context:socket(socket_type, options), loop)
  assert(stream:bind(endpoint))
  return stream
end

local function never()
  bench.die("an idle socket got a message")
end

local function open_idle()
  for i = 1, run.idle do
    idle[i] = open_stream("PULL", "inproc://idle-" .. i)
    idle[i]:on_recv(never)
  end
end

local messages = {}

-- The first messages are checked and counted by bench.take(); the others, and the last, here.
function messages.sink()
  local stream = open_stream("PULL", run.endpoint)
  local options = run.unpack and {unpack = true} or nil
  local count, bytes, last = 0, 0, run.counted - 1

  local function finish(message)
    bench.counted(count, bytes)
    bench.take(message)
    loop:stop()
  end

  local function counted_table(frames)
    if count == last then
      finish(frames[1])
    end
    count = count + 1
    bytes = bytes + #frames[1]
  end

  local function counted_frame(message)
    if count == last then
      finish(message)
    end
    count = count + 1
    bytes = bytes + #message
  end

  stream:on_recv(function(message, surplus)
    local frames = run.unpack and {message, surplus} or message
    if #frames ~= 1 then
      bench.die("a message has " .. #frames .. " frames")
    end
    if bench.take(frames[1]) == run.counted then
      stream:on_recv(run.unpack and counted_frame or counted_table, options)
    end
  end, options)
  return stream
end

local function green_echo()
  local socket = green.Context(context:handle()):socket("REP", {bind = run.endpoint})
  loop:spawn(function()
    repeat
      local frames = socket:recv_multipart()
      assert(socket:send_multipart(frames))
    until bench.take(frames[1]) == 0
    loop:stop()
  end)
  return socket
end

function messages.echo()
  if run.green then
    return green_echo()
  end
  local stream = open_stream("REP", run.endpoint)
  if run.unpack then
    stream:on_recv(function(message)
      assert(stream:send(message))
      if bench.take(message) == 0 then
        loop:stop()
      end
    end, {unpack = true})
  else
    stream:on_recv(function(frames)
      assert(stream:send_multipart(frames))
      if bench.take(frames[1]) == 0 then
        loop:stop()
      end
    end)
  end
  return stream
end

function messages.router()
  local stream = open_stream("ROUTER", run.endpoint)
  stream:on_recv(function(frames)
    assert(stream:send_multipart(frames))
    if bench.count(#frames[2]) == 0 then
      loop:stop()
    end
  end)
  return stream
end

-- An XPUB, since a PUB does not see subscriptions.
function messages.pub()
  local stream = open_stream("XPUB", run.endpoint, {sndhwm = 0})

  local function publish()
    for i = 0, run.checked - 1 do
      assert(stream:send(bench.message(i)))
      bench.count(run.size)
    end
    local message, count = bench.message(run.checked), run.counted - 1
    for _ = 1, count do
      assert(stream:send(message))
    end
    assert(stream:send(bench.message(run.checked + count)))
    bench.counted(count + 1, (count + 1) * run.size)
  end

  stream:on_recv(function(frames)
    if frames[1]:byte() == 1 then
      publish()
    else
      bench.finish()
      loop:stop()
    end
  end)
  return stream
end

local function run_messages()
  context = zmq.Context({max_sockets = run.idle + 1023})
  open_idle()
  local stream = messages[run.workload]()
  bench.load(context:handle())
  loop:start()
  bench.report()
  stream:close()
  for _, silent in ipairs(idle) do
    silent:close()
  end
  context:term()
end

-- ---- timers and callbacks ----------------------------------------------------------------------

local peer = {}

function peer.create(handles, delays, callbacks)
  for i = 1, #delays do
    handles[i] = loop:call_later(delays[i], callbacks[i])
  end
end

function peer.cancel(handles)
  for i = 1, #handles do
    handles[i]:cancel()
  end
end

function peer.run()
  loop:start()
end

function peer.stop()
  loop:stop()
end

function peer.every(period, fn)
  local periodic = ioloop.PeriodicCallback(fn, period * 1000, loop)
  periodic:start()
  return periodic
end

function peer.call_soon(fn, count)
  for _ = 1, count do
    loop:add_callback(fn)
  end
end

function workloads.chain()
  local seen, last = 0, run.counted
  local function step()
    seen = seen + 1
    if seen == last then
      loop:stop()
    else
      loop:add_callback(step)
    end
  end
  loop:add_callback(step)
  bench.begin()
  loop:start()
  bench.finish()
  if seen ~= last then
    bench.die("not all callbacks came")
  end
end

if messages[run.workload] then
  run_messages()
elseif workloads[run.workload] then
  workloads[run.workload](run, peer)
  bench.report()
else
  bench.die("no workload " .. run.workload .. " here")
end
