--- zmqloop.future: results that come later.
-- Names of Tornado's and asyncio's Future. Callbacks and waiting tasks are always called by the
-- loop, in its next iteration, never inside set_result() or await().
--
-- Errors raised here are strings that begin with a name: CANCELLED, and "ETIMEDOUT: ...".
local core = require("zmqloop.core")

local IOLoop = core.IOLoop
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local CANCELLED = "ECANCELED: cancelled"

local Future = {}
Future.__index = Future
Future.__name = "zmqloop.Future"

-- ---- errors that nobody has looked at --------------------------------------------------------

-- Reports a failure through its loop, as the error of a callback.
local function report(failure)
  if failure.seen or failure.loop:closed() then
    return
  end
  failure.seen = true
  failure.loop:add_callback(core.callback_error, failure.loop, failure.callback, failure.err,
    failure.traceback)
end

local failure_class = {__gc = report}

-- What is collected with a failed future, and then tells. Before 5.2 tables have no finalizers.
local function new_failure(failure)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = function() report(failure) end
    failure.proxy = proxy
    return failure
  end
  return setmetatable(failure, failure_class)
end

local function look(self)
  if self.failure then
    self.failure.seen = true
    self.failure = nil
  end
end

-- ---- making and finishing ----------------------------------------------------------------------

--- Makes a pending future. Its callbacks are called by `loop`, by default IOLoop.current().
function Future.new(loop)
  return setmetatable({
    loop = loop or IOLoop.current(),
    state = nil, -- "result", "error" or "cancelled" when done; nil: pending
    n = 0, -- how many results there are, in [1] to [n]; one error is in [1]
    callbacks = nil, -- functions, and tasks that wait, in order
    failure = nil, -- who reports an error that nobody looks at
    on_cancel = nil, -- called with the future by cancel(): to cancel what it stands for
  }, Future)
end

-- A task waits, or a function was added: it is called in the next iteration.
local function notify(self, callback)
  if type(callback) == "table" and callback.wake then
    if not callback.loop:closed() then
      callback.loop:add_callback(callback.wake, callback, self)
    end
  elseif not self.loop:closed() then
    self.loop:add_callback(callback, self)
  end
end

local function finish(self, state)
  local callbacks = self.callbacks
  self.state, self.callbacks = state, nil
  for _, callback in ipairs(callbacks or {}) do
    notify(self, callback)
  end
end

local function check_pending(self)
  if self.state and self.state ~= "cancelled" then
    error("future is done already", 3)
  end
  return self.state == nil
end

--- Finishes it with these results, nils included. Returns true, or false if it was cancelled
-- meanwhile: then nobody wants them. Raises if it is done already.
function Future:set_result(...)
  if not check_pending(self) then
    return false
  end
  self.n = select("#", ...)
  if self.n == 1 then
    self[1] = ...
  else
    for i = 1, self.n do
      self[i] = (select(i, ...))
    end
  end
  finish(self, "result")
  return true
end

-- The error of a task comes with its function and the traceback of its coroutine.
local function fail(self, err, callback, traceback)
  self[1] = err
  self.failure = new_failure({
    loop = self.loop,
    callback = callback or self,
    err = err,
    traceback = traceback or tostring(err),
    seen = false,
  })
  finish(self, "error")
end

--- Finishes it with an error, any value but nil. Results as set_result(). An error at which nobody
-- looks, by result(), error() or await(), is reported through the loop when the future is
-- collected.
function Future:set_error(err)
  if err == nil then
    error("bad argument #1 to 'set_error' (value expected)", 2)
  elseif not check_pending(self) then
    return false
  end
  fail(self, err)
  return true
end

--- Gives it up: who waits gets CANCELLED raised. Returns false if it was done already.
function Future:cancel()
  if self.state then
    return false
  end
  local on_cancel = self.on_cancel
  finish(self, "cancelled")
  if on_cancel then
    on_cancel(self)
  end
  return true
end

-- ---- questions -------------------------------------------------------------------------------

--- Whether it has a result or an error, or was cancelled.
function Future:done()
  return self.state ~= nil
end

--- Whether it was cancelled.
function Future:cancelled()
  return self.state == "cancelled"
end

--- Its results; raises its error, CANCELLED, or "future is not done".
function Future:result()
  if self.state == "result" then
    if self.n == 1 then
      return self[1]
    end
    return unpack(self, 1, self.n)
  elseif not self.state then
    error("future is not done", 2)
  elseif self.state == "cancelled" then
    error(CANCELLED, 0)
  end
  look(self)
  error(self[1], 0)
end

--- Its error, CANCELLED, or nil if it has a result; raises "future is not done".
function Future:error()
  if not self.state then
    error("future is not done", 2)
  elseif self.state == "cancelled" then
    return CANCELLED
  elseif self.state == "error" then
    look(self)
    return self[1]
  end
  return nil
end

--- Calls fn(future) in the iteration after it is done, also if it is done already.
function Future:add_done_callback(fn)
  if not core.is_callable(fn) then
    error(("bad argument #1 to 'add_done_callback' (function or callable expected, got %s)"):format(
      type(fn)), 2)
  end
  self:subscribe(fn)
end

-- For tasks too, which are woken instead of called.
function Future:subscribe(callback)
  if self.state then
    notify(self, callback)
  else
    self.callbacks = self.callbacks or {}
    self.callbacks[#self.callbacks + 1] = callback
  end
end

-- Takes back the first subscription of that callback or task.
function Future:unsubscribe(callback)
  for i, other in ipairs(self.callbacks or {}) do
    if rawequal(other, callback) then
      table.remove(self.callbacks, i)
      return
    end
  end
end

function Future:__tostring()
  return ("Future (%s)"):format(self.state or "pending")
end

setmetatable(Future, {__call = function(_, loop) return Future.new(loop) end})

--- Whether the value is a Future or a Task.
local function is_future(value)
  return type(value) == "table" and value.subscribe == Future.subscribe
end

-- What tasks wait with is found here too; those modules need this one.
local elsewhere = {
  sleep = "task", await = "task", gather = "task", as_completed = "task", with_timeout = "task",
  shield = "task", spawn = "task", Task = "task",
  Event = "locks", Condition = "locks", Semaphore = "locks", BoundedSemaphore = "locks",
  Lock = "locks",
  Queue = "queues", PriorityQueue = "queues", LifoQueue = "queues",
}

return setmetatable({
  Future = Future,
  CANCELLED = CANCELLED,
  is_future = is_future,
  fail = fail,
  finish = finish,
}, {
  __index = function(_, name)
    return elsewhere[name] and require("zmqloop." .. elsewhere[name])[name]
  end,
})
