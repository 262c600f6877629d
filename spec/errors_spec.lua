-- Errors that annotations name are provoked, as far as that is possible here: the call returns
-- `nil, message, name` with just that name, which its annotation must have.
local helper = require("spec.helper")
local green = require("zmqloop.green")
local model = require("scripts.reference.model").read()
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq
local test = helper.test

-- What a case gets: sockets and streams of types, and a context that was shut down.
local Bench = {}
Bench.__index = Bench

function Bench:socket(kind, options)
  return self.t:socket(kind, options)
end

function Bench:stream(kind, options)
  return self.t:stream(kind, options)
end

-- A socket, or a stream, whose context is terminated.
function Bench:terminated(kind, is_stream)
  local context = self.t:keep(zmq.Context{linger = 0}, "destroy")
  local object = context:socket(kind)
  if is_stream then object = self.t:keep(zmqloop.ZMQStream(object, self.t.loop)) end
  context:shutdown()
  return object
end

-- In a task.
local function waiting(fn)
  return function(bench)
    return bench.t.loop:run_sync(function() return fn(bench) end)
  end
end

-- A green socket.
local function green_socket(bench, kind, options)
  local context = bench.t:keep(green.Context{linger = 0}, "destroy")
  return context:socket(kind, options)
end

local cases = {}

-- The same for a socket and for a stream on it.
local function both(method, name, fn)
  cases["Socket:" .. method .. " " .. name] = function(bench) return fn(bench, bench.socket) end
  cases["ZMQStream:" .. method .. " " .. name] = function(bench) return fn(bench, bench.stream) end
end

both("bind", "EADDRINUSE", function(bench, make)
  local first = make(bench, "REP", {bind = "tcp://127.0.0.1:*"})
  return make(bench, "REP"):bind(first:get("last_endpoint"))
end)
both("bind", "EINVAL", function(bench, make) return make(bench, "REP"):bind("tcp://x:y:z") end)
both("bind", "EPROTONOSUPPORT", function(bench, make) return make(bench, "REP"):bind("x://y") end)
both("bind", "ENODEV", function(bench, make) return make(bench, "REP"):bind("tcp://none0:5555") end)
both("bind_to_random_port", "EADDRINUSE", function(bench, make)
  local port = make(bench, "REP"):bind_to_random_port("tcp://127.0.0.1")
  return make(bench, "REP"):bind_to_random_port("tcp://127.0.0.1",
    {min = port, max = port, tries = 3})
end)
both("connect", "EINVAL", function(bench, make) return make(bench, "REP"):connect("tcp://x") end)
both("connect", "EPROTONOSUPPORT", function(bench, make)
  return make(bench, "REP"):connect("x://y")
end)
both("unbind", "ENOENT", function(bench, make)
  return make(bench, "REP"):unbind("tcp://127.0.0.1:1")
end)
both("unbind", "EINVAL", function(bench, make) return make(bench, "REP"):unbind("nonsense") end)
both("disconnect", "ENOENT", function(bench, make)
  return make(bench, "REP"):disconnect("tcp://127.0.0.1:1")
end)
both("disconnect", "EINVAL", function(bench, make)
  return make(bench, "REP"):disconnect("nonsense")
end)
both("set", "EINVAL", function(bench, make) return make(bench, "REP"):set("linger", -2) end)
cases["ZMQStream:setsockopt EINVAL"] = function(bench)
  return bench:stream("REP"):setsockopt("linger", -2)
end
both("subscribe", "EINVAL", function(bench, make) return make(bench, "REP"):subscribe("x") end)
both("unsubscribe", "EINVAL", function(bench, make) return make(bench, "REP"):unsubscribe("x") end)
both("send", "EFSM", function(bench, make) return make(bench, "REP"):send("x") end)
both("send", "ENOTSUP", function(bench, make) return make(bench, "PULL"):send("x") end)
both("send", "EHOSTUNREACH", function(bench, make)
  return make(bench, "ROUTER", {router_mandatory = true}):send_multipart({"nobody", "x"})
end)

for _, method in ipairs{"send", "send_multipart"} do
  local data = method == "send" and "x" or {"x"}
  cases["Socket:" .. method .. " EAGAIN"] = function(bench)
    return bench:socket("PUSH")[method](bench:socket("PUSH"), data, zmq.DONTWAIT)
  end
end
cases["Socket:send_multipart EFSM"] = function(bench)
  return bench:socket("REP"):send_multipart({"x"})
end
cases["Socket:send_multipart ENOTSUP"] = function(bench)
  return bench:socket("PULL"):send_multipart({"x"})
end
for _, method in ipairs{"recv", "recv_multipart"} do
  cases["Socket:" .. method .. " EAGAIN"] = function(bench)
    local socket = bench:socket("PULL")
    return socket[method](socket, zmq.DONTWAIT)
  end
  cases["Socket:" .. method .. " EFSM"] = function(bench)
    local socket = bench:socket("REQ")
    return socket[method](socket)
  end
  cases["Socket:" .. method .. " ENOTSUP"] = function(bench)
    local socket = bench:socket("PUSH")
    return socket[method](socket)
  end
  cases["green.Socket:" .. method .. " EAGAIN"] = waiting(function(bench)
    local socket = green_socket(bench, "PULL", {rcvtimeo = 1})
    return socket[method](socket)
  end)
  cases["green.Socket:" .. method .. " ENOTSUP"] = waiting(function(bench)
    local socket = green_socket(bench, "PUSH")
    return socket[method](socket)
  end)
  cases["green.Socket:" .. method .. " ENOTSOCK"] = waiting(function(bench)
    local socket = green_socket(bench, "PULL")
    bench.t.loop:call_later(0.001, socket.close, socket)
    return socket[method](socket)
  end)
end
for _, method in ipairs{"send", "send_multipart"} do
  local data = method == "send" and "x" or {"x"}
  cases["green.Socket:" .. method .. " EAGAIN"] = waiting(function(bench)
    local socket = green_socket(bench, "PUSH", {sndtimeo = 1})
    return socket[method](socket, data)
  end)
  cases["green.Socket:" .. method .. " EFSM"] = waiting(function(bench)
    local socket = green_socket(bench, "REP")
    return socket[method](socket, data)
  end)
  cases["green.Socket:" .. method .. " ENOTSOCK"] = waiting(function(bench)
    local socket = green_socket(bench, "PUSH")
    bench.t.loop:call_later(0.001, socket.close, socket)
    return socket[method](socket, data)
  end)
end

cases["ZMQStream:send EAGAIN"] = function(bench)
  local stream = bench:stream("PUSH")
  stream:set_send_hwm(1)
  stream:send("x")
  return stream:send("x")
end
cases["ZMQStream:send ESHUTDOWN"] = function(bench)
  local stream = bench:stream("PUSH")
  local results
  stream:send("x")
  bench.t.loop:add_callback(function()
    stream:drain(0.001)
    results = helper.pack(stream:send("x"))
  end)
  bench.t:run_until(function() return stream:closed() end)
  return results[1], results[2], results[3]
end
cases["ZMQStream:recv ETIMEDOUT"] = waiting(function(bench)
  return bench:stream("PULL"):recv(0.001)
end)
cases["ZMQStream:recv ENOTSOCK"] = waiting(function(bench)
  local stream = bench:stream("PULL")
  bench.t.loop:call_later(0.001, stream.close, stream)
  return stream:recv()
end)
cases["ZMQStream:send_wait ETIMEDOUT"] = waiting(function(bench)
  return bench:stream("PUSH"):send_wait("x", 0.001)
end)
cases["ZMQStream:send_wait EFSM"] = waiting(function(bench)
  return bench:stream("REP"):send_wait("x")
end)
cases["ZMQStream:send_wait ENOTSOCK"] = waiting(function(bench)
  local stream = bench:stream("PUSH")
  bench.t.loop:call_later(0.001, stream.close, stream)
  return stream:send_wait("x")
end)

-- After the end of the context.
for _, method in ipairs{"bind", "connect", "unbind", "disconnect"} do
  cases["Socket:" .. method .. " ETERM"] = function(bench)
    local socket = bench:terminated("REP")
    return socket[method](socket, "tcp://127.0.0.1:1")
  end
end
for _, method in ipairs{"recv", "recv_multipart", "poll"} do
  cases["Socket:" .. method .. " ETERM"] = function(bench)
    local socket = bench:terminated("PULL")
    return socket[method](socket)
  end
end
cases["Socket:send ETERM"] = function(bench) return bench:terminated("PUSH"):send("x") end
-- These learn of it only when a call has told the socket.
local function told(bench, kind)
  local socket = bench:terminated(kind)
  socket:poll(0)
  return socket
end
cases["Socket:get ETERM"] = function(bench) return told(bench, "REP"):get("linger") end
cases["Socket:set ETERM"] = function(bench) return told(bench, "REP"):set("linger", 0) end
cases["Socket:subscribe ETERM"] = function(bench) return told(bench, "SUB"):subscribe("") end
cases["ZMQStream:send ETERM"] = function(bench)
  return bench:terminated("PUSH", true):send("x")
end
cases["Context:socket ETERM"] = function(bench)
  local context = bench.t:keep(zmq.Context{linger = 0}, "destroy")
  local socket = context:socket("REP")
  context:shutdown()
  bench.t:keep(socket)
  return context:socket("REP")
end
cases["Context:socket EADDRINUSE"] = function(bench)
  local first = bench:socket("REP", {bind = "tcp://127.0.0.1:*"})
  return bench.t.ctx:socket("REP", {bind = first:get("last_endpoint")})
end
cases["Context:socket EMFILE"] = function(bench)
  local context = bench.t:keep(zmq.Context{max_sockets = 1, linger = 0}, "destroy")
  context:socket("REP")
  return context:socket("REP")
end
cases["Context:set EINVAL"] = function(bench) return bench.t.ctx:set("io_threads", -1) end

-- Between tasks.
cases["Event:wait ETIMEDOUT"] = waiting(function() return zmqloop.Event():wait(0.001) end)
cases["Condition:wait ETIMEDOUT"] = waiting(function() return zmqloop.Condition():wait(0.001) end)
cases["Semaphore:acquire ETIMEDOUT"] = waiting(function()
  return zmqloop.Semaphore(0):acquire(0.001)
end)
cases["Queue:get ETIMEDOUT"] = waiting(function() return zmqloop.Queue():get(0.001) end)
cases["Queue:get_nowait EAGAIN"] = function() return zmqloop.Queue():get_nowait() end
cases["Queue:put ETIMEDOUT"] = waiting(function()
  local queue = zmqloop.Queue(1)
  queue:put(1)
  return queue:put(2, 0.001)
end)
cases["Queue:put_nowait EAGAIN"] = function()
  local queue = zmqloop.Queue(1)
  queue:put_nowait(1)
  return queue:put_nowait(2)
end
cases["Queue:join ETIMEDOUT"] = waiting(function()
  local queue = zmqloop.Queue()
  queue:put(1)
  return queue:join(0.001)
end)

-- Of the loop, and others.
cases["IOLoop:add_handler EBADF"] = function(bench)
  return bench.t.loop:add_handler(987654, print, "r")
end
cases["Frame:routing_id ENOTSUP"] = function()
  if zmq.has("draft") then return nil, nil, "ENOTSUP" end
  return zmq.Frame("x"):routing_id()
end
cases["zmqloop.zmq.curve_public EINVAL"] = function() return zmq.curve_public(("\1"):rep(40)) end
cases["zmqloop.zmq.z85_decode EINVAL"] = function() return zmq.z85_decode("\1\2\3\4\5") end
cases["zmqloop.testing.bind_unused_port EINVAL"] = function()
  return require("zmqloop.testing").bind_unused_port(false, "nonsense")
end

-- Heading of a method -> the text of its errors.
local annotated = {}
for _, file in ipairs(model.files) do
  for _, class in ipairs(file.classes) do
    for _, method in ipairs(class.functions) do
      local last = method.returns[#method.returns]
      annotated[model:heading_of(method)] = last and last.name == "name" and last.text or ""
    end
  end
end

describe("an error that an annotation names", function()
  after_each(helper.cleanup)

  for title, case in pairs(cases) do
    it("is returned: " .. title, test(function(t)
      local heading, name = title:match("^(%S+) (%S+)$")
      assert.truthy(annotated[heading]:find("%f[%w_]" .. name .. "%f[^%w_]"), "not annotated")
      local result, message, got = case(setmetatable({t = t}, Bench))
      assert.is_true(result == nil or result == false, tostring(result))
      assert.equal(name, got, tostring(message))
    end))
  end
end)
