--- zmqloop.async.stream_tasks: recv(), messages(), send_wait() and cancel() of ZMQStream.
-- Internal: programs do not require it, and it may change at any time.
-- Loaded when one of them is first used.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local operation = require("zmqloop.async.operation")
local tasks = require("zmqloop.async.task")
local waiters = require("zmqloop.async.waiters")

local misuse = core.misuse
local unpack = require("zmqloop.compat").unpack
local check_seconds, task_to_suspend = core.check_seconds, tasks.task_to_suspend
local Waiters, timed_out = waiters.Waiters, waiters.timed_out
local perform, serve, is_turn_over = operation.perform, operation.serve, operation.is_turn_over

local ZMQStream = core.ZMQStream
local ENOTSOCK, ETERM = core.constants.ENOTSOCK, core.constants.ETERM

local stop_delivery, take_back

-- on_recv's function while tasks wait in recv(); at other times messages stay in the socket.
local function deliver(self, frames)
  local receivers = self.place_.receivers
  local waiter = receivers:head()
  while waiter and not receivers:serve(waiter, frames) do
    waiter = receivers:head()
  end
  if not waiter then
    self.place_.kept = frames -- the tasks that waited have ended
  end
  stop_delivery(self)
end

-- Raises if self is not a stream: most likely '.' was written instead of ':'.
local function check_self(self, method)
  if type(self) ~= "userdata" then
    core.bad_self(method, "ZMQStream", self)
  end
end

local function is_delivering(self)
  return not self:closed() and core.stream_receiver(self) == deliver
end

function stop_delivery(self)
  if not self.place_.receivers.first and is_delivering(self) then
    core.deliver_stream(self, nil)
  end
end

local function check_no_callback(self)
  local receiver = core.stream_receiver(self)
  if receiver ~= nil and receiver ~= deliver then
    misuse("recv: the stream has a callback, set by on_recv()")
  end
end

local function start_delivery(self)
  check_no_callback(self)
  if not is_delivering(self) then
    core.deliver_stream(self, deliver)
  end
  return true
end

-- While a task waits in recv(), it gets the messages.
for _, method in ipairs{"on_recv", "on_recv_stream", "stop_on_recv"} do
  local own = ZMQStream[method]
  ZMQStream[method] = function(self, ...)
    local place = type(self) == "userdata" and self.place_
    local lacks_argument = select("#", ...) == 0 and method ~= "stop_on_recv"
    if lacks_argument or not place or not place.receivers.first or self:closed() then
      return own(self, ...)
    elseif (...) ~= nil and method ~= "stop_on_recv" then
      misuse(("%s: a task waits in recv()"):format(method))
    end
  end
end

-- There is room in the queue, and this is told only once.
local function serve_senders(place)
  repeat
    local failed = serve(place, "senders")
  until failed or place.is_closed or not place.senders.first
end

local LINES = {"receivers", "senders", "unreported"}

-- The stream was closed, or its context has ended.
local function end_waits(place)
  operation.fail_waits(place, LINES, place.object:closed() and ENOTSOCK or ETERM)
end

-- Was there room since the waiter's message was refused?
local function is_room_told(place, waiter)
  local sending = waiter.b
  if sending.told == place.told then
    return false
  end
  sending.told = place.told
  return operation.AGAIN
end

local function is_reported(_, waiter)
  return waiter.a.report ~= nil
end

-- Where tasks wait for the stream; created for the first one. See zmqloop.async.operation.
local function place_of(self)
  local place = self.place_
  if not place then
    place = {
      object = self,
      is_closed = false,
      attempting = false,
      receivers = Waiters.new(stop_delivery, self, nil, start_delivery),
      told = 0, -- how often room was announced
      kept = nil, -- a message that arrived after the tasks waiting for it had ended
      unreported = Waiters.new(take_back, self, is_reported), -- for reports, in order
    }
    place.senders = Waiters.new(nil, place, is_room_told) -- for room in the queue
    self.place_ = place
    core.on_stream_room(self, function()
      place.told = place.told + 1
      serve_senders(place)
    end)
    core.on_socket_closed(core.stream_socket(self), function()
      place.is_closed = true
      if not self.io_loop:closed() then
        self.io_loop:add_callback(end_waits, place)
      end
    end)
  end
  return place
end

-- The running task, which must be on the stream's loop.
local function task_of(self, method)
  local task = task_to_suspend(method)
  if task.loop ~= self.io_loop then
    misuse(("%s: the stream is on another loop than the task"):format(method))
  end
  return task
end

-- Receives one message without waiting.
local function take(self)
  local found
  local function keep(_, frames) found = frames end
  check_no_callback(self)
  core.deliver_stream(self, keep)
  local ok, err = pcall(self.flush, self, "r", 1)
  if not self:closed() and core.stream_receiver(self) == keep then
    core.deliver_stream(self, nil)
  end
  if not ok then
    error(err, 0)
  end
  return found
end

--- Suspends the running task until a message arrives, and returns its frames. Messages that no task
-- waits for stay in the socket; tasks are served first in, first out. After `timeout` seconds
-- (nil: no limit) returns nil, "ETIMEDOUT: ...", "ETIMEDOUT"; with 0, takes a message only if one
-- is there. If the stream is closed meanwhile returns nil, message, "ENOTSOCK"; if its context
-- ends, "ETERM". A cancelled task takes no message. A paused stream delivers none until resume().
-- Raises if the stream has an on_recv() callback; on_recv() raises while a task waits here.
function ZMQStream:recv(timeout)
  check_seconds("recv", 1, timeout)
  check_no_callback(self)
  local task = task_of(self, "recv")
  local place = place_of(self)
  local receivers, kept = place.receivers, place.kept
  if kept then
    place.kept = nil
    return kept
  end
  local frames, message, name
  if timeout and timeout <= 0 then
    frames = not receivers.first and take(self)
  else
    frames, message, name = receivers:wait(task, timeout)
  end
  if frames then
    return frames
  elseif frames == nil and name then
    return nil, message, name
  end
  return timed_out(timeout)
end

--- An iterator over the messages that the running task receives, until the stream is closed:
-- `for frames in stream:messages() do`. (Lua 5.1 cannot suspend in a `for`: call the iterator in a
-- `while` there.)
function ZMQStream:messages()
  check_self(self, "messages")
  return function()
    return not self:closed() and self:recv() or nil
  end
end

-- The task gave up waiting for the report: removes the message from the queue.
take_back = function(self, waiter)
  local sending = waiter.a
  if core.unsend(self, sending.token) then
    sending.token = false
  end
end

local function attempt_to_send(self, message, sending)
  sending.told = self.place_.told
  local send = type(message) == "table" and self.send_multipart or self.send
  local sent, text, name = send(self, message, {
    callback = function(_, sent, text, name)
      local unreported = self.place_.unreported
      local waiter = unreported:head()
      if not (waiter and waiter.a == sending and unreported:serve(waiter, sent, text, name)) then
        sending.report = {sent, text, name}
      end
    end,
  })
  if sent then
    sending.token = core.stream_token(self)
    return true
  end
  return nil, text, name
end

-- Hands the message to the stream, in whose queue there may be no room.
local ENQUEUE = {
  method = "send_wait",
  line = "senders",
  attempt = attempt_to_send,
  place = place_of,
  seconds = function(_, _, sending) return sending.timeout end,
  late = function(_, _, sending) return timed_out(sending.timeout) end,
}

-- Waits until the socket has taken the message. Returns as send_wait().
local function await_report(self, task, sending, deadline)
  local left = deadline and math.max(deadline - self.io_loop:time(), 0)
  local sent, text, name = self.place_.unreported:wait(task, left, nil, sending)
  if sending.report then
    sent, text, name = unpack(sending.report, 1, 3)
  end
  if sent or sent == false and sending.token then -- it had already left the queue
    return true
  elseif sent == false then
    return timed_out(sending.timeout)
  end
  return nil, text, name
end

--- Sends a message (a string, a Frame or a list of them) and suspends the running task until the
-- socket has taken it; returns true. Waits while the queue is full. After `timeout` seconds (nil:
-- no limit) returns nil, "ETIMEDOUT: ...", "ETIMEDOUT". Then the message was not sent and never
-- will be; the same holds if the task is cancelled before the socket has taken it. Other failures
-- are those of send(), on_send() and recv().
function ZMQStream:send_wait(message, timeout)
  check_self(self, "send_wait")
  if type(message) ~= "string" and type(message) ~= "table" and type(message) ~= "userdata" then
    check.expected("send_wait", 1, "string, Frame or list", message)
  end
  check_seconds("send_wait", 2, timeout)
  local task, place = task_of(self, "send_wait"), place_of(self)
  local deadline = timeout and self.io_loop:time() + timeout
  local sending = {
    token = nil, -- of the message in the queue; false: it was taken back
    told = place.told, -- how often room had been announced when it was refused
    report = nil, -- if it arrived before the task waited for it
    timeout = timeout,
  }
  local sent, text, name = perform(ENQUEUE, self, attempt_to_send, false, message, sending)
  -- Not ahead of one that waits for its report.
  if sent and (self:queued() > 0 or place.unreported.first or is_turn_over(true)) then
    return await_report(self, task, sending, deadline)
  end
  return sent, text, name
end

--- Cancels the calls of on_recv's callback that are waiting: raises CANCELLED where each of them
-- waits, as Task:cancel() does. Returns how many there are. When they have ended the stream calls
-- its current callback again. Does not cancel tasks in recv() and send_wait().
function ZMQStream:cancel()
  check_self(self, "cancel")
  local calls = tasks.calls_of(self)
  for _, task in ipairs(calls) do
    task:cancel()
  end
  return #calls
end
