-- zmqloop's streams, with plain callbacks that get a table of frames.
-- SPDX-License-Identifier: MIT
local bench = require("luabench")
local ioloop = require("zmqloop.ioloop")
local zmq = require("zmqloop.zmq")
local zmqstream = require("zmqloop.zmqstream")

local run = bench.parse(arg)
local loop = ioloop.IOLoop()
local context = zmq.Context({max_sockets = run.idle + 64})

local function open_stream(socket_type, endpoint)
  local stream = zmqstream.ZMQStream(context:socket(socket_type), loop)
  assert(stream:bind(endpoint))
  return stream
end

local function never()
  bench.die("an idle socket got a message")
end

local idle = {}
for i = 1, run.idle do
  idle[i] = open_stream("PULL", "inproc://idle-" .. i)
  idle[i]:on_recv(never)
end

local workloads = {}

function workloads.sink()
  local stream = open_stream("PULL", run.endpoint)
  local count, bytes, last = 0, 0, run.counted - 1

  local function counted(frames)
    if count == last then
      bench.counted(count, bytes)
      bench.take(frames[1])
      loop:stop()
    end
    count = count + 1
    bytes = bytes + #frames[1]
  end

  stream:on_recv(function(frames)
    if #frames ~= 1 then
      bench.die("a message has " .. #frames .. " frames")
    end
    if bench.take(frames[1]) == run.counted then
      stream:on_recv(counted)
    end
  end)
  return stream
end

function workloads.echo()
  local stream = open_stream("REP", run.endpoint)
  stream:on_recv(function(frames)
    assert(stream:send_multipart(frames))
    if bench.take(frames[1]) == 0 then
      loop:stop()
    end
  end)
  return stream
end

loop:on_error("raise")
local stream = workloads[run.workload]()
loop:start()
bench.report()
stream:close()
for _, silent in ipairs(idle) do
  silent:close()
end
context:term()
