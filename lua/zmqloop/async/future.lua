--- zmqloop.async.future: results that arrive later.
-- Internal: programs do not require it, and it may change at any time.
-- Names of Tornado's and asyncio's Future. Callbacks and waiting tasks are always called by the
-- loop, in its next iteration, never inside set_result() or await().
--
-- Errors raised here are strings that begin with a name: CANCELLED, and "ETIMEDOUT: ...".
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.future") then
  return classes.registered("async.future")
end

local check = require("zmqloop.check")
local trace = require("zmqloop.trace")

local misuse = core.misuse
local IOLoop = core.IOLoop
local select = select
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")

local CANCELLED = "ECANCELED: cancelled"

local Future = {}
Future.__index = Future
Future.future_class = Future -- is_future() checks for this
Future.__name = "zmqloop.Future"

-- ---- errors not looked at --------------------------------------------------------------------

-- Calls the handler for errors of the loop's callbacks. Returns whether that succeeded.
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

-- Reports a failure as the error of a callback: in the next iteration if the loop is running,
-- otherwise at once, since it may never run again.
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

--- An object that calls fn() when it is collected or, as a <close> variable, leaves its scope.
local function guard(fn)
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, {__gc = fn, __close = fn})
end

-- Adds a finalizer that reports the failure. It is collected with the failed future.
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

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
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
    vacant = nil, -- how many of these have been removed
    trace = nil, -- of its error: where it was raised and where each task awaited it
    failure = nil, -- reports the error when collected, unless the error was looked at
    on_cancel = nil, -- called with the future by cancel(), to cancel the operation
  }, Future)
end

-- Notifies one subscriber; see subscribe().
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

-- The same, where memory may lack for it: tries twice, since some may be free again. Returns the
-- error, or nil.
local function try_to_notify(self, loop, fn, subscriber)
  if not loop then
    fn(subscriber, self) -- not in pcall(): futures in a chain would nest C calls
    return nil
  end
  if pcall(notify, self, loop, fn, subscriber) then
    return nil
  end
  local ok, err = pcall(notify, self, loop, fn, subscriber)
  return not ok and err or nil
end

-- A hook may run between any two instructions. So the new state is set before the subscribers are
-- removed, and each subscriber is crossed out before it is called. Raises when all have been tried,
-- if memory was lacking for one.
local function finish(self, state)
  self.state = state
  local callbacks, failure = self.callbacks, nil
  self.callbacks = nil
  for i = 1, callbacks and #callbacks or 0, 3 do
    local fn = callbacks[i + 1]
    if fn then
      callbacks[i + 1] = false
      failure = try_to_notify(self, callbacks[i], fn, callbacks[i + 2]) or failure
    end
  end
  if failure then
    error(failure, 0)
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

--- Finishes it with these results, nils included.
-- Returns true, or false if it was cancelled. Raises if it is done.
function Future:set_result(...)
  check_self(self, "Future", "set_result")
  if not check_pending(self) then
    return false
  end
  succeed(self, ...)
  return true
end

-- Loop -> function that is called with each failed future: for zmqloop.testing.
local watchers = setmetatable({}, {__mode = "k"})

-- Finishes it with an error and its trace. Returns false if a finalizer has finished it meanwhile.
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

--- Finishes it with an error, any value but nil. Results as set_result(). If nothing looks at the
-- error, by result(), error() or await(), it is reported through the loop when the future is
-- collected.
function Future:set_error(err)
  check_self(self, "Future", "set_error")
  check.value("set_error", 1, err)
  if not check_pending(self) then
    return false
  end
  local where = core.where():match("^(.+): $")
  local text = trace.describe(err)
  return fail(self, err, where and ("%s\nset by set_error() at %s"):format(text, where) or text)
end

-- Cancels this one, which is pending; or returns the future that it waits for, for the caller to
-- cancel instead, and pushes any further ones on the stack `pending`.
function Future:give_up()
  local on_cancel = self.on_cancel
  finish(self, "cancelled")
  if on_cancel then
    on_cancel(self)
  end
end

-- Called when futures await each other in a circle, which cancel() would follow for ever.
function Future.break_circle() end

--- Cancels it: CANCELLED is raised in what waits for it.
-- Returns false if it was done. Without recursion: a chain of awaits may be longer than calls can
-- nest.
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

--- A text: its error, the stack where it was raised, and where each task awaited it; "" if it has
-- not failed.
function Future:traceback()
  check_self(self, "Future", "traceback")
  return self.trace or ""
end

--- Calls fn(future) in the iteration after it is done, even if it is done already.
function Future:add_done_callback(fn)
  check_self(self, "Future", "add_done_callback")
  core.check_callable("add_done_callback", 1, fn)
  self:subscribe(self.loop, fn, false)
end

-- Adds a subscription: when the future is done, the loop calls fn(future) in its next iteration; or
-- fn(subscriber, future) if there is a subscriber, a table whose field `place` is for
-- unsubscribe(). If `loop` is false, fn is called at once inside the call that finishes the future,
-- and must not call user code.
function Future:subscribe(loop, fn, subscriber)
  -- Allocated first: a finalizer that runs meanwhile may finish the future.
  local made = not self.callbacks and {} or nil
  if self.state then
    return notify(self, loop, fn, subscriber)
  end
  local callbacks = self.callbacks or made
  self.callbacks = callbacks
  local last = #callbacks
  if subscriber then
    subscriber.place = last + 3
  end
  callbacks[last + 3] = subscriber -- the last one first: without memory they stay in threes
  callbacks[last + 2], callbacks[last + 1] = false, loop
  callbacks[last + 2] = fn
  if self.state and callbacks[last + 2] then -- a hook has finished it without seeing this one
    callbacks[last + 2] = false
    notify(self, loop, fn, subscriber)
  end
end

-- Removes vacant places.
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

-- Removes a subscription. Its place stays until half of all places are vacant, so that the cost
-- does not grow with their number.
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

--- Raises unless the argument is a future.
local function check_future(method, argument, value)
  if not is_future(value) then
    check.expected(method, argument, "Future", value)
  end
end

return classes.register("async.future", {
  Future = Future,
  CANCELLED = CANCELLED,
  is_future = is_future,
  check_future = check_future,
  succeed = succeed,
  fail = fail,
  finish = finish,
  guard = guard,

  -- For zmqloop.testing.
  watch_failures = function(loop, fn) watchers[loop] = fn end,
})
