--- zmqloop.async.stream_tasks: recv(), messages(), send_wait() and cancel() of ZMQStream.
-- Loaded when one of them is first used.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local tasks = require("zmqloop.async.task")
local waiters = require("zmqloop.async.waiters")

local misuse = core.misuse
local unpack = require("zmqloop.compat").unpack
local check_seconds, task_to_suspend = core.check_seconds, tasks.task_to_suspend
local Waiters, timed_out = waiters.Waiters, waiters.timed_out

local ZMQStream = core.ZMQStream
local ENOTSOCK, ETERM = core.constants.ENOTSOCK, core.constants.ETERM

local stop_delivery, take_back

-- on_recv's function while tasks wait in recv(); at other times messages stay in the socket.
local function deliver(self, frames)
  local receivers = self.waiting_.receivers
  if receivers:head() then
    receivers:serve(frames)
  else
    self.waiting_.kept = frames -- the tasks that waited have ended
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
  if not self.waiting_.receivers.first and is_delivering(self) then
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
    local waiting = type(self) == "userdata" and self.waiting_
    local lacks_argument = select("#", ...) == 0 and method ~= "stop_on_recv"
    if lacks_argument or not waiting or not waiting.receivers.first or self:closed() then
      return own(self, ...)
    elseif (...) ~= nil and method ~= "stop_on_recv" then
      misuse(("%s: a task waits in recv()"):format(method))
    end
  end
end

-- There is room in the queue.
local function serve_senders(self)
  local senders = self.waiting_.senders
  while senders:head() do
    local waiter = senders.first
    local ok, sent, message, name = pcall(waiter.attempt, self, waiter.a, waiter.b)
    if not ok then
      senders:fail(sent)
    elseif name == "EAGAIN" then
      return
    else
      senders:serve(sent, message, name)
    end
  end
end

-- The stream was closed, or its context has ended.
local function end_waits(self)
  local waiting, code = self.waiting_, self:closed() and ENOTSOCK or ETERM
  for _, line in ipairs{waiting.receivers, waiting.senders, waiting.unreported} do
    while line.first do
      line:serve(core.failure(code))
    end
  end
end

-- Was there room since the waiter's message was refused?
local function is_room_told(self, waiter)
  return waiter.b.told ~= self.waiting_.told
end

local function is_reported(_, waiter)
  return waiter.a.report ~= nil
end

-- The lines of tasks that wait for the stream; created for the first one.
local function waiting_of(self)
  local waiting = self.waiting_
  if not waiting then
    waiting = {
      receivers = Waiters.new(stop_delivery, self, nil, start_delivery),
      senders = Waiters.new(nil, self, is_room_told), -- for room in the queue
      told = 0, -- how often room was announced
      kept = nil, -- a message that arrived after the tasks waiting for it had ended
      unreported = Waiters.new(take_back, self, is_reported), -- for reports, in order
    }
    self.waiting_ = waiting
    core.on_stream_room(self, function()
      waiting.told = waiting.told + 1
      serve_senders(self)
    end)
    core.on_socket_closed(core.stream_socket(self), function()
      if not self.io_loop:closed() then
        self.io_loop:add_callback(end_waits, self)
      end
    end)
  end
  return waiting
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
  local waiting = waiting_of(self)
  local receivers, kept = waiting.receivers, waiting.kept
  if kept then
    waiting.kept = nil
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
  sending.taken_back = core.unsend(self, sending.token)
end

local function attempt_to_send(self, message, sending)
  local send = type(message) == "table" and self.send_multipart or self.send
  local sent, text, name = send(self, message, {
    callback = function(_, sent, text, name)
      local unreported = self.waiting_.unreported
      local waiter = unreported:head()
      if waiter and waiter.a == sending then
        unreported:serve(sent, text, name)
      else
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

-- Hands the message to the stream; waits while its queue is full. Returns true; nil, message, name;
-- or false on timeout.
local function enqueue(self, task, message, timeout, sending)
  local waiting = self.waiting_
  local senders = waiting.senders
  repeat
    sending.told = waiting.told
    if not senders.first then
      local sent, text, name = attempt_to_send(self, message, sending)
      if name ~= "EAGAIN" then
        return sent, text, name
      end
    end
    local sent, text, name = senders:wait(task, timeout, attempt_to_send, message, sending)
    if sent ~= true or sending.token then
      return sent, text, name
    end
  until false -- there was room meanwhile
end

-- How many messages in a row are sent without waiting, before others get their turn.
local at_once, AT_ONCE_MOST = 0, 128

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
  local task, unreported = task_of(self, "send_wait"), waiting_of(self).unreported
  local deadline = timeout and self.io_loop:time() + timeout
  local sending = {
    token = nil, -- of the message in the queue
    taken_back = false,
    told = nil, -- how often room had been announced when it was refused
    report = nil, -- if it arrived before the task waited for it
  }
  local sent, text, name = enqueue(self, task, message, timeout, sending)
  at_once = self:queued() == 0 and at_once + 1 or 0
  if sent and (at_once == 0 or at_once > AT_ONCE_MOST) then
    at_once = 0
    local left = deadline and math.max(deadline - self.io_loop:time(), 0)
    sent, text, name = unreported:wait(task, left, nil, sending)
    if sending.report then
      sent, text, name = unpack(sending.report, 1, 3)
    end
    if sent == false and not sending.taken_back then
      sent = true -- it had already left the queue
    end
  end
  if sent then
    return true
  elseif sent == false then
    return timed_out(timeout)
  end
  return nil, text, name
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
