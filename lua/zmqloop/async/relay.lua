--- zmqloop.async.relay: proxy() and device() of zmqloop.green.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local classes = require("zmqloop.class")
local future = require("zmqloop.async.future")
local operation = require("zmqloop.async.operation")
local task = require("zmqloop.async.task")
local watch = require("zmqloop.async.watch")
local zmq = require("zmqloop.zmq")

local plain = core.Socket
local DONTWAIT = zmq.DONTWAIT
local current_task, in_task = task.task_to_suspend, operation.in_task

local relay = {}

-- Seconds until the next attempt if other code has taken the message or is in the middle of one.
local TAKEN_SECONDS = 0.005

-- Returns a copy of the list of {socket, events} in which ready sockets have 0 as events, so that
-- they are watched only for being closed; and how many are not ready. Or nil, message, name.
local function look_at(list)
  local objects, missing = {}, 0
  for i, entry in ipairs(list) do
    local socket, events = entry[1], entry[2]
    if socket:closed() then
      return core.failure(core.constants.ENOTSOCK)
    end
    local ready, message, name = true, nil, nil
    if events ~= 0 then
      ready, message, name = plain.poll(socket, 0, events)
    end
    if not ready then
      return nil, message, name
    end
    missing = missing + (ready == 0 and 1 or 0)
    objects[i] = {socket, ready == 0 and events or 0}
  end
  return objects, missing
end

-- The attempt of wait_for_all(): EAGAIN until another of them is ready.
local function try_another(list, missing)
  local objects, now, name = look_at(list)
  if objects and now == missing then
    return nil, nil, "EAGAIN"
  end
  return objects, now, name
end

-- Waits until all in the list are ready at the same time. Returns true, or nil, message, name.
local function wait_for_all(list)
  if operation.is_turn_over() then
    task.sleep(0)
  end
  local objects, missing, name = look_at(list)
  while objects and missing > 0 do
    objects, missing, name = watch.poll(current_task("proxy"), objects, nil, try_another, list,
      missing)
    if objects then
      objects, missing, name = look_at(list)
    end
  end
  return objects and true, missing, name
end

-- Sends a received message, which cannot be put back. This has to wait only for a ROUTER with
-- router_mandatory, or if the sink is shared with other code.
local function pass_on(frames, sinks)
  for _, sink in ipairs(sinks) do
    local sent, message, name = sink:send_multipart(frames, DONTWAIT)
    if name == "EAGAIN" then
      sent, message, name = sink:send_multipart(frames)
    end
    if not sent then
      return nil, message, name
    end
  end
  return true
end

-- Relays messages until a failure; returns nil, message, name. A message is received only when it
-- can be sent; until then it stays in its socket, even if the task is cancelled. `capture` gets it
-- before `to`. With a socket that never receives this waits for ever.
local function pass_all(from, to, capture)
  local sinks = capture and {capture, to} or {to}
  local awaited = {{from, zmq.POLLIN}}
  for _, sink in ipairs(sinks) do
    -- A REP that answers itself can do so only when it has received.
    local is_own_reply = sink == from and plain.get(from, "type") == zmq.REP
    awaited[#awaited + 1] = {sink, is_own_reply and 0 or zmq.POLLOUT}
  end
  while true do
    local ok, message, name = wait_for_all(awaited)
    local frames
    if ok then
      frames, message, name = from:recv_multipart(DONTWAIT, false)
    end
    if frames then
      ok, message, name = pass_on(frames, sinks)
    elseif name == "EAGAIN" then
      task.sleep(TAKEN_SECONDS)
    else
      ok = nil
    end
    if not ok then
      return nil, message, name
    end
  end
end

-- Relays both ways; or from the socket to itself, if both are the same.
local function relay_all(frontend, backend, capture)
  local loop = current_task("proxy").loop
  local done = future.Future(loop)
  local tasks = {loop:spawn(pass_all, frontend, backend, capture)}
  if frontend ~= backend then
    tasks[2] = loop:spawn(pass_all, backend, frontend, capture)
  end
  local function stop()
    for _, each in ipairs(tasks) do
      each:cancel()
    end
  end
  done.on_cancel = stop
  for _, each in ipairs(tasks) do
    each:add_done_callback(function(ended)
      if not done:done() then
        done:set_result(ended)
        stop()
      end
    end)
  end
  return done:await():result()
end

local function check_green(method, argument, value)
  local recv_multipart = classes.registered("green").Socket.recv_multipart
  if not core.is_socket(value) or value.recv_multipart ~= recv_multipart then
    check.bad(method, argument, ("green socket expected, got %s"):format(
      core.is_socket(value) and "one of zmqloop.zmq" or type(value)))
  end
end

--- Passes messages between the sockets, both ways, and copies of them to `capture`, until one of
-- the sockets fails because it is closed or its context ends. Returns that failure: nil, message,
-- name. Like zmq.proxy(), which blocks.
function relay.proxy(frontend, backend, capture)
  check_green("proxy", 1, frontend)
  check_green("proxy", 2, backend)
  if capture ~= nil then
    check_green("proxy", 3, capture)
  end
  return in_task(relay_all, frontend, backend, capture)
end

local function got(value)
  return type(value) == "string" and ("'%s'"):format(value) or tostring(value)
end

--- The same under PyZMQ's name. `type` is zmq.QUEUE, zmq.FORWARDER or zmq.STREAMER, which all do
-- the same; without `outgoing`, messages are sent back on the socket that received them.
function relay.device(type, incoming, outgoing)
  if type ~= zmq.QUEUE and type ~= zmq.FORWARDER and type ~= zmq.STREAMER then
    check.bad("device", 1, ("QUEUE, FORWARDER or STREAMER expected, got %s"):format(got(type)))
  end
  check_green("device", 2, incoming)
  if outgoing ~= nil then
    check_green("device", 3, outgoing)
  end
  return in_task(relay_all, incoming, outgoing or incoming)
end

return relay
