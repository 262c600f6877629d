--- zmqloop.future: results that come later.
-- Names of Tornado's and asyncio's Future. Callbacks and waiting tasks are always called by the
-- loop, in its next iteration, never inside set_result() or await().
--
-- Errors raised here are strings that begin with a name: CANCELLED, and "ETIMEDOUT: ...".
local core = require("zmqloop.core")

-- One per state, as the core is: what two of them had made would not fit together.
if core.future_module then
  return core.future_module
end

local trace = require("zmqloop.trace")

local misuse = core.misuse
local IOLoop = core.IOLoop
local select = select
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local CANCELLED = "ECANCELED: cancelled"

local Future = {}
Future.__index = Future
Future.future_class = Future -- by which is_future() knows one
Future.__name = "zmqloop.Future"

-- ---- errors that nobody has looked at --------------------------------------------------------

-- Hands a failure to whoever handles the errors of the loop's callbacks. Returns whether it has.
local function handle(failure)
  local loop = failure.loop
  local handler = core.error_handler(loop)
  if handler == "raise" then
    return false
  elseif handler then
    return pcall(handler, failure.callback, failure.err, failure.traceback)
  end
  return pcall(loop.handle_callback_exception, loop, failure.callback, failure.err,
    failure.traceback)
end

-- Reports a failure as the error of a callback: in the loop's next iteration, or, if it does not
-- run and may never run again, now.
local function report(failure)
  local loop = failure.loop
  if failure.seen then
    return
  end
  failure.seen = true
  if (loop:running() or not handle(failure)) and not loop:closed() then
    loop:add_callback(core.callback_error, loop, failure.callback, failure.err, failure.traceback)
  end
end

local failure_class = {__gc = report}

local newproxy = rawget(_G, "newproxy") -- where tables have no finalizers

--- An object that calls fn() when it is collected, or leaves its scope as a variable <close>.
local function guard(fn)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, {__gc = fn, __close = fn})
end

-- What is collected with a failed future, and then tells. Before 5.2 tables have no finalizers.
local function new_failure(failure)
  if newproxy then
    failure.proxy = guard(function() report(failure) end)
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

-- What a method is called with, if '.' was written for ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not rawequal(self.future_class, Future) then
    core.bad_self(method, class, self)
  end
end

-- ---- making and finishing ----------------------------------------------------------------------

--- Makes a pending future. Its callbacks are called by `loop`, by default IOLoop.current().
function Future.new(loop)
  core.check_loop("Future", 1, loop)
  return setmetatable({
    loop = loop or IOLoop.current(),
    state = nil, -- "result", "error" or "cancelled" when done; nil: pending
    n = 0, -- how many results there are, in [1] to [n]; one error is in [1]
    callbacks = nil, -- what to call when it is done, in threes: see subscribe()
    vacant = nil, -- how many of these have no function any more
    trace = nil, -- of its error: where that was raised, and through which tasks it came
    failure = nil, -- who reports an error that nobody looks at
    on_cancel = nil, -- called with the future by cancel(): to cancel what it stands for
  }, Future)
end

-- Has one be told that it is done; see subscribe().
local function notify(self, loop, fn, subscriber)
  if not loop then
    fn(subscriber, self)
  elseif loop:closed() then
    return
  elseif subscriber then
    loop:add_callback(fn, subscriber, self)
  else
    loop:add_callback(fn, self)
  end
end

local function finish(self, state)
  local callbacks = self.callbacks
  self.state, self.callbacks = state, nil
  if callbacks then
    for i = 1, #callbacks, 3 do
      if callbacks[i + 1] then
        notify(self, callbacks[i], callbacks[i + 1], callbacks[i + 2])
      end
    end
  end
end

local function check_pending(self)
  if self.state and self.state ~= "cancelled" then
    misuse("future is done already")
  end
  return self.state == nil
end

local function succeed(self, ...)
  if self.state then
    return
  end
  local n = select("#", ...)
  if n == 1 then
    self[1] = ...
  else
    for i = 1, n do
      self[i] = (select(i, ...))
    end
  end
  self.n = n
  finish(self, "result")
end

--- Finishes it with these results, nils included. Returns true, or false if it was cancelled
-- meanwhile: then nobody wants them. Raises if it is done already.
function Future:set_result(...)
  check_self(self, "Future", "set_result")
  if not check_pending(self) then
    return false
  end
  succeed(self, ...)
  return true
end

-- loop -> function to be called with a future that has failed: for tests, which want to hear of
-- errors at which nobody looks.
local watchers = setmetatable({}, {__mode = "k"})

-- Finishes it with an error and its trace. Returns false if a finalizer has finished it while that
-- was put together.
local function fail(self, err, text)
  local failure = {
    loop = self.loop,
    callback = self,
    err = err,
    traceback = text,
    seen = true,
  }
  new_failure(failure)
  if self.state then
    return false
  end
  failure.seen = false
  self[1], self.trace, self.failure = err, text, failure
  finish(self, "error")
  if watchers[self.loop] then
    watchers[self.loop](self)
  end
  return true
end

--- Finishes it with an error, any value but nil. Results as set_result(). An error at which nobody
-- looks, by result(), error() or await(), is reported through the loop when the future is
-- collected.
function Future:set_error(err)
  check_self(self, "Future", "set_error")
  if err == nil then
    misuse("bad argument #1 to 'set_error' (value expected)")
  elseif not check_pending(self) then
    return false
  end
  local where = core.where():match("^(.+): $")
  local text = trace.describe(err)
  return fail(self, err, where and ("%s\nset by set_error() at %s"):format(text, where) or text)
end

-- Cancels this one, which is pending. Returns a future whose end ends it, which is to be cancelled
-- in its place; more of them it puts on the stack `pending`.
function Future:give_up()
  local on_cancel = self.on_cancel
  finish(self, "cancelled")
  if on_cancel then
    on_cancel(self)
  end
end

-- It waits in a circle, which no cancelling of what it awaits would end.
function Future.break_circle() end

--- Gives it up: who waits gets CANCELLED raised. Returns false if it was done already.
-- (Not by recursion: more tasks may await each other in a row than calls can be nested.)
function Future:cancel()
  check_self(self, "Future", "cancel")
  if self.state then
    return false
  end
  local cancel, pending, seen = Future.cancel, {}, {}
  if self.state then -- by a finalizer
    return false
  end
  local each = self
  repeat
    local after
    if seen[each] then
      each:break_circle()
    elseif each ~= self and each.cancel ~= cancel then
      each:cancel() -- of a user's class
    elseif not each.state then
      seen[each] = true
      after = each:give_up(pending)
    end
    each = after or table.remove(pending)
  until not each
  return true
end

-- ---- questions -------------------------------------------------------------------------------

--- Whether it has a result or an error, or was cancelled.
function Future:done()
  check_self(self, "Future", "done")
  return self.state ~= nil
end

--- Whether it was cancelled.
function Future:cancelled()
  check_self(self, "Future", "cancelled")
  return self.state == "cancelled"
end

--- Its results; raises its error, CANCELLED, or "future is not done".
function Future:result()
  check_self(self, "Future", "result")
  if self.state == "result" then
    if self.n == 1 then
      return self[1]
    end
    return unpack(self, 1, self.n)
  elseif not self.state then
    misuse("future is not done")
  elseif self.state == "cancelled" then
    error(CANCELLED, 0)
  end
  look(self)
  trace.raise(self[1], self.trace)
end

--- Its error, CANCELLED, or nil if it has a result; raises "future is not done".
function Future:error()
  check_self(self, "Future", "error")
  if not self.state then
    misuse("future is not done")
  elseif self.state == "cancelled" then
    return CANCELLED
  elseif self.state == "error" then
    look(self)
    return self[1]
  end
  return nil
end

--- Where its error was raised, and through which tasks it came: a text that begins with the error;
-- "" if it has none.
function Future:traceback()
  check_self(self, "Future", "traceback")
  return self.trace or ""
end

--- Calls fn(future) in the iteration after it is done, also if it is done already.
function Future:add_done_callback(fn)
  check_self(self, "Future", "add_done_callback")
  core.check_callable("add_done_callback", 1, fn)
  self:subscribe(self.loop, fn, false)
end

-- Adds a subscription: when it is done, the loop is to call fn(future) in its next iteration, or
-- fn(subscriber, future), if there is a subscriber: a table with a field `place`, by which it can
-- unsubscribe(). With false as the loop that is called at once, by whoever finishes the future; so
-- it must not call strangers.
function Future:subscribe(loop, fn, subscriber)
  -- Made first: a finalizer that runs then may finish it.
  local made = not self.callbacks and {} or nil
  if self.state then
    return notify(self, loop, fn, subscriber)
  end
  local callbacks = self.callbacks or made
  local last = #callbacks
  callbacks[last + 1], callbacks[last + 2], callbacks[last + 3] = loop, fn, subscriber
  self.callbacks = callbacks
  if subscriber then
    subscriber.place = last + 3
  end
end

-- Leaves out what was taken back.
local function compact(self)
  local kept, last = {}, 0
  local callbacks = self.callbacks
  for i = 1, callbacks and #callbacks or 0, 3 do
    local subscriber = callbacks[i + 2]
    if callbacks[i + 1] then
      kept[last + 1], kept[last + 2], kept[last + 3] = callbacks[i], callbacks[i + 1], subscriber
      last = last + 3
      if subscriber then
        subscriber.place = last
      end
    end
  end
  if callbacks then
    self.callbacks, self.vacant = kept, 0
  end
end

-- The subscriber is told no more. Its place stays until half of all are vacant: each of thousands
-- that give up costs the same.
function Future:unsubscribe(subscriber)
  local callbacks, place = self.callbacks, subscriber.place
  if not callbacks or callbacks[place] ~= subscriber then
    return -- it is done
  end
  callbacks[place - 1], callbacks[place] = false, false
  self.vacant = (self.vacant or 0) + 1
  if 6 * self.vacant > #callbacks then
    compact(self)
  end
end

function Future:__tostring()
  return ("Future (%s)"):format(self.state or "pending")
end

setmetatable(Future, {__call = function(_, loop) return Future.new(loop) end})

--- Whether the value is a Future or a Task.
local function is_future(value)
  return type(value) == "table" and rawequal(value.future_class, Future)
end

-- What tasks wait with is found here too; those modules need this one.
local elsewhere = {
  sleep = "task", await = "task", gather = "task", as_completed = "task", with_timeout = "task",
  shield = "task", spawn = "task", Task = "task",
  Event = "locks", Condition = "locks", Semaphore = "locks", BoundedSemaphore = "locks",
  Lock = "locks",
  Queue = "queues", PriorityQueue = "queues", LifoQueue = "queues",
}

core.future_module = setmetatable({
  Future = Future,
  CANCELLED = CANCELLED,
  is_future = is_future,
  succeed = succeed,
  fail = fail,
  finish = finish,
  guard = guard,

  -- For zmqloop.testing.
  watch_failures = function(loop, fn) watchers[loop] = fn end,
}, {
  __index = function(_, name)
    return elsewhere[name] and require("zmqloop." .. elsewhere[name])[name]
  end,
})

return core.future_module
