--- zmqloop.async.watch: tasks that wait until sockets and descriptors are ready.
-- Internal: programs do not require it, and it may change at any time.
-- A watch is the handler of an object on a loop; it exists while a task waits for the object.
-- Tasks that want to receive or send are queued. The operation is attempted for the first task of
-- a line, which is resumed only with a result: a task that stops waiting has taken nothing. A task
-- that has begun to send a message in parts has a line of its own; the others are held up until
-- the message ends.
local core = require("zmqloop.core")
local operation = require("zmqloop.async.operation")
local owner = require("zmqloop.async.message_owner")
local waiters = require("zmqloop.async.waiters")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local IOLoop, Waiters, HELD = core.IOLoop, waiters.Waiters, operation.HELD
local READ, WRITE = 1, 4 -- IOLoop's
local POLLIN, POLLOUT = core.constants.POLLIN, core.constants.POLLOUT
local EVENTS = {POLLIN, POLLOUT, core.constants.POLLERR, core.constants.POLLPRI}
local ENOTSOCK = core.constants.ENOTSOCK

-- A ROUTER is writable even if it cannot reach the peer. Seconds until the next attempt.
local STALL_SECONDS = 0.005

local function has(events, event)
  return events % (2 * event) >= event
end

local Watch = {}
Watch.__index = Watch

local want

local function update(self)
  self:update()
end

-- The wait to send the end of a message timed out or was cancelled.
local function give_up_end(self)
  owner.abandon(self.object)
  self:update()
end

-- Line -> the side of the socket that its tasks wait for.
local SIDES = {readers = "receiver", writers = "sender", enders = "sender"}

--- The watch of a socket or descriptor on a loop: a place, see zmqloop.async.operation.
function Watch.of(loop, object)
  local watches = loop.watches_
  if not watches then
    watches = {}
    loop.watches_ = watches
  end
  local watch = watches[object]
  if not watch then
    -- Fields that are false have their place in the table: to set them takes no memory, without
    -- which the handler could not be removed.
    watch = setmetatable({
      loop = loop,
      object = object,
      polls = {}, -- polls that include it, in order
      events = false, -- registered with the loop; false: not registered
      stall = false, -- timer, while sending is not attempted
      held = {readers = false, writers = false}, -- true: another task is in the middle of a message
      is_closed = false,
      attempting = false,
    }, Watch)
    watch.readers = Waiters.new(update, watch, nil, want)
    watch.writers = Waiters.new(update, watch, nil, want)
    -- for the task that has begun a message and wants to send its end
    watch.enders = Waiters.new(give_up_end, watch, nil, want)
  end
  return watch
end

-- ---- registration ----------------------------------------------------------------------------

-- The events that tasks wait for, or false if none.
local function wanted(self)
  local readers, writers, enders = self.readers.first, self.writers.first, self.enders.first
  local reads = readers and not self.held.readers
  local writes = writers and not self.held.writers or enders
  local someone = readers or writers or enders or #self.polls > 0
  for _, poll in ipairs(self.polls) do
    local events = poll.events[self]
    reads = reads or has(events, POLLIN)
    writes = writes or has(events, POLLOUT)
  end
  return someone and (reads and READ or 0) + (writes and not self.stall and WRITE or 0) or false
end

local function tell_closed(self)
  operation.fail_waits(self, {"readers", "writers", "enders"}, ENOTSOCK)
  while self.polls[1] do
    self.polls[1]:serve(core.failure(ENOTSOCK))
  end
  self:update()
end

local function is_socket(object)
  return type(object) == "userdata" and core.is_socket(object)
end

local function register(self, events)
  local loop, object = self.loop, self.object
  local ok, message, name = IOLoop.add_handler(loop, object, function(_, what)
    self:serve(what)
  end, events)
  if not ok then
    return ok, message, name
  end
  self.events = events
  loop.watches_[object] = self
  if is_socket(object) then
    core.on_socket_closed(object, function()
      self.is_closed = true
      if not loop:closed() then
        loop:add_callback(tell_closed, self)
      end
    end)
  end
  return true
end

local function unregister(self)
  local loop, object = self.loop, self.object
  self.events = false
  loop.watches_[object] = nil
  if self.stall then
    self.stall:cancel()
    self.stall = false
  end
  if not loop:closed() then
    IOLoop.remove_handler(loop, object)
  end
  if is_socket(object) and not object:closed() then
    core.on_socket_closed(object, nil)
  end
end

local function change(self, events)
  local ok, message, name = IOLoop.update_handler(self.loop, self.object, events)
  if ok then
    self.events = events
  end
  return ok, message, name
end

--- Makes the loop watch for the events that tasks wait for. Returns true, or nil, message, name.
function Watch:update()
  local events = wanted(self)
  if events == self.events or self.is_closed and events then
    return true
  elseif not events then
    unregister(self)
  elseif not self.events then
    return register(self, events)
  elseif not self.loop:closed() then
    return change(self, events)
  end
  return true
end

-- ---- serving ---------------------------------------------------------------------------------

-- Without memory for wait_for() the line is not held, and served again.
local function hold(self, line_name)
  owner.wait_for(self.object, SIDES[line_name], self)
  self.held[line_name] = true
end

--- Lets tasks that were held up try again. Takes no memory itself.
function Watch:go_on()
  self.held.readers, self.held.writers = false, false
  self:update()
end

-- Returns whether the line stalls: not even the first task could be served.
local function serve_line(self, line_name)
  local name, is_first = operation.serve(self, line_name)
  if name == HELD then
    hold(self, line_name)
    return false
  end
  return is_first
end

--- Lets tasks go on whose message has ended when there was no memory to tell them.
function Watch:recheck()
  local held, socket = self.held, self.object
  if held.readers and not socket.receiver or held.writers and not socket.sender then
    self:go_on()
  end
end

local function serve_polls(self)
  local polls = {}
  for i, poll in ipairs(self.polls) do
    polls[i] = poll
  end
  for _, poll in ipairs(polls) do
    poll:attempt()
  end
end

local function end_stall(self)
  self.stall = false
  self:update()
end

--- The handler, given READ, WRITE, their sum, or bits of ERROR.
function Watch:serve(events)
  if events ~= WRITE and not self.held.readers then
    serve_line(self, "readers")
  end
  if events >= WRITE then
    local stalls = serve_line(self, "enders")
    stalls = not self.held.writers and serve_line(self, "writers") or stalls
    if stalls and not self.stall then
      self.stall = self.loop:call_later(STALL_SECONDS, end_stall, self)
    end
  end
  if self.polls[1] then
    serve_polls(self)
  elseif events == READ and self.events == READ and self.readers.first
    and not self.held.readers then
    return -- the ordinary case: unchanged
  end
  self:update()
end

-- Called when the first task joins a line: makes the loop watch for its event too.
function want(self, line)
  local now, events = self.events, line == self.readers and READ or WRITE
  if not now then
    return register(self, events)
  elseif not has(now, events) then
    return change(self, now + events)
  end
  return true
end

-- ---- polling ---------------------------------------------------------------------------------

-- A wait for any of several objects.
local Poll = {}
Poll.__index = Poll

local function leave(poll)
  for watch in pairs_of(poll.events) do
    for i, other in ipairs(watch.polls) do
      if other == poll then
        table.remove(watch.polls, i)
        break
      end
    end
    watch:update()
  end
end

--- Ends the wait with this result.
function Poll:serve(...)
  leave(self)
  if self.line.first then
    self.line:serve(self.line.first, ...)
  end
end

--- Ends the wait if the attempt has a result.
function Poll:attempt()
  local waiter = self.line.first
  if not waiter then
    return leave(self) -- its task could not be suspended
  end
  for watch in pairs_of(self.events) do
    if watch.is_closed then
      return -- tell_closed() is about to end the wait
    end
  end
  local ok, result, message, name = pcall(waiter.attempt, waiter.a, waiter.b)
  if not ok then
    leave(self)
    self.line:fail(waiter, result)
  elseif name ~= "EAGAIN" then
    self:serve(result, message, name)
  end
end

local function union(events, others)
  for _, event in ipairs(EVENTS) do
    if has(others, event) and not has(events, event) then
      events = events + event
    end
  end
  return events
end

-- Adds the poll to the watches of its objects, until one fails. Returns false and the result of
-- the last, or true and the error that it raised.
local function join(poll)
  for watch in pairs_of(poll.events) do
    watch.polls[#watch.polls + 1] = poll
    local ok, done, message, name = pcall(watch.update, watch)
    if not ok then
      return true, done
    elseif not done then
      return false, done, message, name
    end
  end
  return false, true
end

--- Suspends the running task until attempt(a, b), which is called when one of the objects becomes
-- ready, returns anything but EAGAIN; returns that, or false after this many seconds (nil: no
-- limit). `objects` is a list of {object, events}, with events as for zmq.Poller.
local function poll(task, objects, seconds, attempt, a, b)
  local self = setmetatable({events = {}}, Poll) -- watch -> events
  self.line = Waiters.new(leave, self)
  local watches = {} -- one descriptor may be listed several times: as a file and as a number
  for _, entry in ipairs(objects) do
    local object = entry[1]
    local watch = watches[object] or Watch.of(task.loop, object)
    watches[object] = watch
    self.events[watch] = union(self.events[watch] or 0, entry[2])
  end
  local raised, ok, message, name = join(self)
  if raised or not ok then
    leave(self)
  end
  if raised then
    error(ok, 0)
  elseif not ok then
    return nil, message, name
  end
  return self.line:wait(task, seconds, attempt, a, b)
end

return {
  SIDES = SIDES,
  Watch = Watch,
  poll = poll,
}
