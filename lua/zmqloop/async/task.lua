--- zmqloop.async.task: functions that wait without blocking the loop.
-- loop:spawn(fn) runs fn in a coroutine, which calls such as sleep() and Future:await() suspend
-- without blocking the loop. A task is a future of what its function returns.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.task") then
  return classes.registered("async.task")
end

local check = require("zmqloop.check")
local future = require("zmqloop.async.future")
local compat = require("zmqloop.compat")
local trace = require("zmqloop.trace")

local misuse, check_loop = core.misuse, core.check_loop
local check_callable, check_seconds = core.check_callable, core.check_seconds
local IOLoop = core.IOLoop
local Future, CANCELLED = future.Future, future.CANCELLED
local add_callback, closed = IOLoop.add_callback, IOLoop.closed
local resume, status, yield = coroutine.resume, coroutine.status, coroutine.yield
local rawequal, setmetatable, type = rawequal, setmetatable, type
local succeed = future.succeed
local watched = require("zmqloop.blocked").watched

local IS_5_1, can_yield, obstacle = compat.IS_5_1, compat.can_yield, compat.obstacle
local running, whole, make_traceback = compat.running, compat.whole, compat.traceback

local Task = setmetatable({}, {__index = Future})
Task.__index = Task
Task.__name = "zmqloop.Task"
Task.n = 0

-- The task whose coroutine runs now.
local current

-- Loop -> its tasks -> their numbers, in order of creation. Weak: a task that nothing can resume
-- any more is garbage.
local tasks_of, last_number = setmetatable({}, {__mode = "k"}), 0

local function note_task(self)
  local tasks = tasks_of[self.loop]
  if not tasks then
    tasks = setmetatable({}, {__mode = "k"})
    tasks_of[self.loop] = tasks
  end
  last_number = last_number + 1
  tasks[self] = last_number
end

-- ---- coroutines -----------------------------------------------------------------------------

-- What a task's coroutine yields: it waits; it has returned and can run another function; it only
-- tests whether it can yield.
local WAITS, RETURNED, TRIES = {}, {}, compat.TRIES

-- What it is resumed with. Anything else means that the user has resumed the coroutine. Compare all
-- of these by rawequal(): the user's values, such as errors, arrive the same way, and their __eq
-- must not be called.
local WOKEN, FAILED = {}, {}

-- Coroutines that have returned, for reuse: creating one is most of the cost of a short task.
local idle, idle_count, IDLE_MAX = {}, 0, 256

local close = rawget(coroutine, "close") -- from 5.4 on

local serve, trace_here, end_failed
if close then
  -- The function runs under xpcall(), so that <close> variables are closed inside the coroutine,
  -- where they may wait. The handler is called again for errors in them; the first call sees the
  -- stack where the error was raised.
  local function note_trace(err)
    if current and not rawequal(err, CANCELLED) and not current.noted_trace then
      current.noted_trace = trace_here(current, err)
    end
    return err
  end

  local function ended(task, ok, ...)
    if ok then
      succeed(task, ...)
    else
      end_failed(task, (...), task.noted_trace)
    end
    task.noted_trace = nil
    if not ok and current ~= task then
      error((...), 0) -- for the user's code, which has resumed it instead of us
    end
  end

  function serve(task, fn, ...)
    ended(task, xpcall(fn, note_trace, ...))
  end
else
  function serve(task, fn, ...)
    succeed(task, fn(...))
  end
end

-- While it is idle its stack keeps no values of the last function.
local function run()
  while true do
    serve(yield(RETURNED))
  end
end

local function take_coroutine()
  while idle_count > 0 do
    local co = idle[idle_count]
    idle[idle_count] = nil
    idle_count = idle_count - 1
    if status(co) == "suspended" then -- else the user's code has resumed it
      return co
    end
  end
  local co = coroutine.create(run)
  coroutine.resume(co)
  return co
end

-- ---- one step -------------------------------------------------------------------------------

local step

-- The text without the position that error() puts before it, or nil if there is none.
local function without_position(text)
  return text:match("^%[string .-%]:%d+: (.*)$") or text:match("^[^:\n]+:%d+: (.*)$")
end

-- Is it CANCELLED? Code that catches the error and raises it again may have put positions before
-- it. Any other text with that ending is a different error, about the cancellation of something
-- else.
local function is_cancelled(err)
  local text = type(err) == "string" and err:sub(-#CANCELLED) == CANCELLED and err
  while text and text ~= CANCELLED do
    text = without_position(text)
  end
  return text == CANCELLED
end

local function explain(err)
  if err == nil then
    return "(error object is a nil value)"
  elseif IS_5_1 and type(err) == "string" and err:find("attempt to yield across", 1, true) then
    return err .. "; in Lua 5.1 nothing can wait in a metamethod or in the iterator of a `for`"
  end
  return err
end

-- A name for the code in the task's coroutine, for traces.
local function label(self)
  return ("%s of %s"):format(self.is_callback and "the callback" or "the task",
    core.source_of(self.fn) or "a function of C")
end

-- The trace of an error that has ended the task, if it came from a future that the task awaited.
local function trace_of_awaited(self, err)
  local text, co = trace.of(err)
  if text and (not co or whole(co) == self.coroutine) then
    return trace.longer(text, self.coroutine, label(self))
  end
end

-- The trace of an error that has ended the task.
local function trace_of(self, err)
  return trace_of_awaited(self, err) or trace.new(self.coroutine, err, label(self))
end

-- The same in a message handler, where the stack is still there.
function trace_here(self, err)
  return trace_of_awaited(self, err)
    or trace.with_label(make_traceback(trace.describe(err), 3), label(self))
end

-- Closes the coroutine, which an error has ended. Closing its variables may fail too: returns the
-- last error, and the trace of the first, or nil if that was a cancellation.
local function close_failed(self, err)
  err = explain(err)
  -- The trace of a cancellation is not needed, unless an error of a variable replaces it.
  local text = (close or not is_cancelled(err)) and trace_of(self, err) or nil
  if close then
    local _, last = close(self.coroutine)
    if last ~= nil then
      err = last
    end
  end
  self.coroutine = nil
  return err, text
end

function end_failed(self, err, text)
  err = explain(err)
  if self.state then
    return -- the user has resumed it, and it has ended
  elseif is_cancelled(err) then
    future.finish(self, "cancelled")
  else
    future.fail(self, err, text or trace.describe(err))
  end
end

local function failed(self, err)
  end_failed(self, close_failed(self, err))
end

local function returned(self)
  if idle_count < IDLE_MAX then
    idle_count = idle_count + 1
    idle[idle_count] = self.coroutine
  end
  self.coroutine = nil
end

-- ---- callbacks as tasks ------------------------------------------------------------------------
--
-- The loop calls its callbacks in coroutines too. A callback becomes a task when it first waits.
-- `call` is then the stream or handler that must be notified when the callback has returned, since
-- it does not call it again before.

-- The number of a call whose callback waits -> its task. Weak: whatever will wake the task keeps it
-- alive.
local waiting_calls = setmetatable({}, {__mode = "v"})

-- Coroutine -> the task that current_task() returned in the callback that it runs.
local noted = setmetatable({}, {__mode = "kv"})

-- The task that the running callback of a loop becomes when it waits; nil if none runs.
local function callback_task()
  local co = running()
  local loop, callback, serial, count = core.calling_loop(co)
  local task = loop and noted[co]
  if task and task.serial == serial and task.count == count then
    return task
  end
  return loop and setmetatable({
    loop = loop,
    fn = callback,
    serial = serial, -- of the call
    count = count, -- of callbacks in that call so far
    coroutine = co,
    is_callback = true,
  }, Task)
end

--- The running task. In a callback of a loop: the task that the callback becomes if it waits. nil
-- outside both.
local function current_task()
  if current and running() == current.coroutine then
    return current
  end
  local task = callback_task()
  if task then
    noted[task.coroutine] = task
  end
  return task or current
end

-- The tasks of the stream's waiting calls, oldest first.
local function calls_of(stream)
  local list = {}
  for _, task in pairs(waiting_calls) do
    if rawequal(task.call, stream) and not task.state then
      list[#list + 1] = task
    end
  end
  table.sort(list, function(a, b) return a.serial < b.serial end)
  return list
end

-- Loop -> function that is called with each callback that becomes a task: for zmqloop.testing,
-- which checks what a test leaves open.
local watchers = setmetatable({}, {__mode = "k"})

-- The callback of the task is about to wait.
local function leave_loop(self)
  self.has_left = true
  note_task(self)
  waiting_calls[self.serial] = self
  self.call = core.suspend_call(self.coroutine)
  if watchers[self.loop] then
    watchers[self.loop](self)
  end
end

-- Its errors are handled as those of other callbacks.
local function callback_stepped(self, ok, err)
  local co = self.coroutine
  if coroutine.status(co) ~= "dead" then
    return -- it waits again, or the user's code will resume it
  end
  waiting_calls[self.serial] = nil
  if ok then
    self.coroutine = nil
    future.finish(self, "result")
  else
    local text
    err, text = close_failed(self, err)
    if self.is_ending and not is_cancelled(err) then
      future.fail(self, err, text) -- the loop is closing, and calls no handler
      return
    end
    future.finish(self, is_cancelled(err) and "cancelled" or "error")
    if self.state == "error" then
      self.loop:add_callback(core.callback_error, self.loop, self.fn, err, text)
    end
  end
  if self.call then
    core.resume_call(self.call)
  end
end

-- Handles the results of a resume.
local function stepped(self, before, ok, what)
  current = before
  if rawequal(what, RETURNED) then
    returned(self)
  elseif ok and rawequal(what, TRIES) then
    step(self, true)
  elseif self.is_callback then
    callback_stepped(self, ok, what)
  elseif not ok then
    failed(self, what)
  elseif what == nil then
    self.loop:add_callback(step, self) -- a plain yield: let the others run once
  elseif not rawequal(what, WAITS) then
    failed(self, ("a task waits by await(), sleep() and the like, it cannot yield a %s"):format(
      type(what)))
  end
end

function step(self, ...)
  if self.state then
    return -- it has already ended
  end
  local before, loop = current, self.loop
  current = self
  if watched[loop] then
    return stepped(self, before, core.resume(loop, self.coroutine, ...))
  end
  return stepped(self, before, resume(self.coroutine, ...))
end

local function begin(self, fn, ...)
  if not self.state then
    local co = take_coroutine()
    if not self.state then -- else a finalizer has cancelled it
      self.coroutine = co
      step(self, self, fn, ...)
    end
  end
end

-- ---- waiting --------------------------------------------------------------------------------

-- A finalizer may wake tasks, hence any allocation may. So an operation that waits first allocates,
-- then checks whether it still has to wait, and then registers with whatever will wake the task.
-- Between that and the yield the task may be woken too: see wake().
--
-- While a task waits, `undo` removes its registration; it is false if there is nothing to remove,
-- or if that is in `awaits`.

local function stop_timer(task)
  if task.timer then
    task.timer:cancel()
    task.timer = nil
  end
end

-- Removes the registration of a waiting task, so that nothing wakes it any more.
local function undo_wait(task)
  local awaited, undo = task.awaits, task.undo
  task.awaits, task.expired, task.undo = nil, nil, nil
  if awaited then
    awaited:unsubscribe(task)
    stop_timer(task)
  elseif undo then
    undo(task)
  end
end

local is_alive, suspend

-- Returns or raises the values with which the waiting coroutine was resumed.
local function resumed(task, how, ...)
  if rawequal(how, WOKEN) then
    return ...
  elseif rawequal(how, FAILED) then
    error((...), 0)
  end
  undo_wait(task)
  task.loop:add_callback(is_alive, task) -- it may have ended by then
  error("a task that waits is resumed by its loop, not by coroutine.resume()", 0)
end

--- The running task, or callback of a loop, for functions that suspend it. Raises if there is none
-- or if it cannot be suspended here, and raises CANCELLED if it has been cancelled.
local function task_to_suspend(method)
  local task = current
  if not task or running() ~= task.coroutine then
    task = callback_task()
  end
  if not task then
    misuse(("%s: only inside a task; start it with loop:spawn()%s"):format(method,
      current and ", not as a coroutine inside of another task" or ""))
  end
  local can, why = can_yield()
  if not can then
    misuse(("%s: cannot wait here, %s"):format(method, why or obstacle()))
  elseif task.must_cancel then
    if task.is_callback and not task.has_left then
      suspend(task, false) -- makes it a task, so that CANCELLED is not an error of a callback
    end
    task.must_cancel = nil
    error(CANCELLED, 0)
  end
  return task
end

--- Suspends the running task, which task_to_suspend() returned, until wake_with() or fail_with().
-- undo(task) must remove what would wake it; false if that is the task's `awaits`. Returns the
-- arguments of wake_with().
function suspend(task, undo)
  if task.is_callback and not task.has_left then
    leave_loop(task)
  end
  if not task.is_due then
    task.undo = undo
    if task.must_cancel then -- by a finalizer, since task_to_suspend() checked
      task.must_cancel = nil
      task:cancel()
    end
  end
  return resumed(task, yield(WAITS))
end

-- The user's code has closed or resumed its coroutine.
local function end_closed(task)
  undo_wait(task)
  task.coroutine = nil
  local err = "the coroutine of the task was closed, or resumed, by somebody else"
  future.fail(task, err, err)
  if task.call then
    core.resume_call(task.call)
  end
end

--- Whether the waiting task can still be woken; if not, it has ended.
function is_alive(task)
  if task.coroutine and status(task.coroutine) ~= "dead" then
    return true
  elseif not task.state then
    end_closed(task)
  end
  return false
end

local function wake(task, how, ...)
  task.undo = nil
  if status(task.coroutine) == "suspended" then
    task.is_due = nil
    step(task, how, ...)
  elseif is_alive(task) then -- it is about to be suspended
    task.is_due = true
    task.loop:add_callback(wake, task, how, ...)
  end
end

--- Resumes a suspended task at once; call it from a callback of its loop. A task that is only about
-- to be suspended is resumed in the next iteration.
local function wake_with(task, ...)
  wake(task, WOKEN, ...)
end

--- The same with an error, raised where it waits.
local function fail_with(task, err)
  wake(task, FAILED, err)
end

-- ---- awaiting futures -----------------------------------------------------------------------

local function timed_out(seconds)
  return ("ETIMEDOUT: Operation timed out after %s seconds"):format(core.number_text(seconds))
end

-- Called by the loop when a future that the task awaits is done.
local function awaited_is_done(task, awaited)
  if task.awaits ~= awaited then
    return
  end
  local expired = task.expired
  task.awaits, task.expired = nil, nil
  stop_timer(task)
  if task.must_cancel then
    task.must_cancel = nil
    fail_with(task, CANCELLED)
  elseif expired then
    fail_with(task, timed_out(expired))
  else
    wake_with(task)
  end
end

-- The wait has timed out. If this cancels the future, the wait ends when the future has cleaned up.
local function expire(task, seconds, cancels)
  local awaited = task.awaits
  task.timer = nil
  if awaited.state then
    return -- it is about to wake
  elseif cancels then
    task.expired = seconds
    awaited:cancel()
  else
    undo_wait(task)
    fail_with(task, timed_out(seconds))
  end
end

local function await(method, awaited, seconds, cancels)
  local task = task_to_suspend(method)
  if awaited == task then
    misuse(("%s: a task cannot wait for itself"):format(method))
  end
  if seconds then
    task.timer = task.loop:call_later(seconds, expire, task, seconds, cancels)
  end
  task.awaits = awaited
  awaited:subscribe(task.loop, awaited_is_done, task)
  suspend(task, false)
  return awaited:result()
end

local function check_future_self(self, method)
  if not future.is_future(self) then
    core.bad_self(method, "Future", self)
  end
end

--- Suspends the running task until the future is done; returns its results or raises its error.
-- After `timeout` seconds raises "ETIMEDOUT: ..."; the future stays pending. Cancelling the task
-- cancels the future too. Only inside a task.
function Future:await(timeout)
  check_future_self(self, "await")
  check_seconds("await", 1, timeout)
  return await("await", self, timeout, false)
end

-- ---- tasks ----------------------------------------------------------------------------------

--- Runs fn(...) in a coroutine of its own, from the next iteration on. Returns the Task.
function IOLoop:spawn(fn, ...)
  check_loop("spawn", 0, self)
  if type(fn) ~= "function" then
    check_callable("spawn", 1, fn)
  end
  if closed(self) then
    misuse("loop is closed")
  end
  -- Further fields: undo, while it waits; awaits, the future it waits for, and place, its place in
  -- that future's subscriptions; timer, of its wait; expired, the seconds of a wait that has timed
  -- out, until the awaited future ends; must_cancel: CANCELLED must still be raised; is_due: it was
  -- woken before it was suspended.
  local task = setmetatable({
    loop = self,
    fn = fn,
    coroutine = nil, -- while it runs or is suspended
    state = nil,
  }, Task)
  note_task(task)
  add_callback(self, begin, task, fn, ...)
  return task
end

--- A task's outcome is that of its function.
function Task.set_result()
  misuse("set_result: the result of a task is what its function returns")
end

--- The same; use cancel() to end a task.
function Task.set_error()
  misuse("set_error: the error of a task is what its function raises; see cancel()")
end

local function raise_cancelled(self)
  if self.must_cancel and self.undo == false then
    self.must_cancel = nil
    fail_with(self, CANCELLED)
  end
end

-- Raises CANCELLED in it in the loop's next iteration.
local function interrupt(self)
  undo_wait(self)
  self.must_cancel, self.undo = true, false
  self.loop:add_callback(raise_cancelled, self)
end

--- Raises CANCELLED where the task waits, or where it waits next. The task can catch it; if it does
-- not, it ends as cancelled(). The future that it awaits is cancelled too; see shield(). Returns
-- false if the task had already ended.
Task.cancel = Future.cancel

-- Returns the awaited future, for the caller to cancel instead.
function Task:give_up()
  local awaited = self.awaits
  if not self.coroutine then -- not yet begun
    future.finish(self, "cancelled")
  elseif awaited and not awaited.state then
    if self.expired then
      self.must_cancel = true -- instead of the timeout
    end
    return awaited
  elseif awaited or self.undo == nil then -- about to wake, or running
    self.must_cancel = true
  else
    interrupt(self)
  end
end

Task.break_circle = interrupt

--- The stack of its coroutine, with the line where it waits. Of a failed task: where its error was
-- raised and where each task awaited it. "" before it has begun, and after it has ended without an
-- error.
function Task:traceback()
  check_future_self(self, "traceback")
  return self.coroutine and make_traceback(self.coroutine) or self.trace or ""
end

function Task:__tostring()
  local source = core.source_of(self.fn)
  return ("Task (%s)%s"):format(self.state or "pending", source and " of " .. source or "")
end

-- ---- for code in tasks ----------------------------------------------------------------------

local function end_sleep(task)
  task.timer = nil
  wake_with(task)
end

--- Suspends the running task for this many seconds; 0 lets the loop run once. Only inside a task.
local function sleep(seconds)
  check.seconds("sleep", 1, seconds)
  local task = task_to_suspend("sleep")
  task.timer = task.loop:call_later(seconds, end_sleep, task)
  suspend(task, stop_timer)
end

--- Whether there is a running task and it can wait here. For operations that succeed at once: a
-- task whose operations always do so must wait from time to time, to let others run.
local function can_wait()
  local task = current
  return task and running() == task.coroutine and can_yield()
end

--- An identity for the running code: its task, or the number of a loop's call, which a callback
-- keeps when it waits; 0 outside all loops.
local function who_runs()
  local task, co = current, running()
  if not task or co ~= task.coroutine then
    local loop, _, serial = core.calling_loop(co)
    if loop or not task then
      return serial or core.call_serial()
    end
  end
  return task.is_callback and task.serial or task
end

--- The task of who_runs(); nil if that is none.
local function task_of(who)
  if type(who) == "number" then
    return waiting_calls[who]
  end
  return who
end

--- Whether the owner of the identity has ended.
local function is_over(who)
  local task = task_of(who)
  if task then
    return task.state ~= nil or closed(task.loop)
  end
  return not core.is_calling(who)
end

--- Whether neither a task nor a loop is running: then waiting means running the loop.
local function is_outside()
  return not current and not core.running_loop()
end

local function check_future(method, argument, value)
  if not future.is_future(value) then
    check.expected(method, argument, "Future", value)
  end
end

--- Future:await() as a function.
local function await_function(awaited, timeout)
  check_future("await", 1, awaited)
  check_seconds("await", 2, timeout)
  return await("await", awaited, timeout, false)
end

--- Waits for the future for at most this many seconds and returns its results. On timeout cancels
-- it, and raises "ETIMEDOUT: ..." when it has ended. Only inside a task.
local function with_timeout(seconds, awaited)
  check.seconds("with_timeout", 1, seconds)
  check_future("with_timeout", 2, awaited)
  return await("with_timeout", awaited, seconds, true)
end

-- ---- shield() -----------------------------------------------------------------------------------

-- A future with the outcome of its `inner` one. It subscribes to that only while something waits
-- for it; at other times its methods copy the outcome when they are called.
local Shield = setmetatable({}, {__index = Future})
Shield.__index = Shield
Shield.__name = "zmqloop.Future"

local function take_over(self, inner)
  if self.state or not inner:done() then
    return
  elseif inner.state == "error" then
    future.fail(self, inner:error(), inner.trace)
  elseif inner.state == "cancelled" then
    future.finish(self, "cancelled")
  else
    succeed(self, inner:result())
  end
end

local function inner_is_done(part, inner)
  take_over(part.outer, inner)
end

-- These methods first copy the outcome, if there is one.
for _, method in ipairs{
  "done", "cancelled", "result", "error", "cancel", "set_result", "set_error", "__tostring",
} do
  Shield[method] = function(self, ...)
    if type(self) == "table" and self.inner then -- else Future's own method refuses it
      take_over(self, self.inner)
    end
    return Future[method](self, ...)
  end
end

-- Overrides Future:subscribe().
function Shield:subscribe(...)
  if not self.part.place then
    self.inner:subscribe(false, inner_is_done, self.part)
  end
  Future.subscribe(self, ...)
  self.waiting = self.waiting + 1
end

local function stop_listening(self)
  self.inner:unsubscribe(self.part)
  self.part.place = nil
end

-- Overrides Future:unsubscribe().
function Shield:unsubscribe(subscriber)
  Future.unsubscribe(self, subscriber)
  self.waiting = self.waiting - 1
  if self.waiting == 0 then
    stop_listening(self)
  end
end

-- The inner one is left running.
function Shield:give_up()
  future.finish(self, "cancelled")
  stop_listening(self)
end

--- A future with the outcome of `inner`. Cancelling it does not cancel `inner`: await(shield(f)).
local function shield(inner)
  check_future("shield", 1, inner)
  local outer = setmetatable({
    loop = core.running_loop() or inner.loop,
    inner = inner,
    part = {outer = nil, place = nil}, -- the subscriber of the inner one
    waiting = 0, -- how many subscribers there are here
  }, Shield)
  outer.part.outer = outer
  return outer
end

-- ---- gather() and as_completed() ----------------------------------------------------------------

local function check_futures(method, futures)
  if type(futures) ~= "table" or future.is_future(futures) then
    check.expected(method, 1, "table of futures", futures)
  end
  local list, keys = {}, {}
  for i, item in ipairs(futures) do
    list[i], keys[i] = item, i
  end
  for key, item in pairs(futures) do
    if keys[key] ~= key then
      list[#list + 1], keys[#keys + 1] = item, key
    end
  end
  for _, item in ipairs(list) do
    if not future.is_future(item) then
      check.bad(method, 1, ("Future expected among them, got %s"):format(type(item)))
    end
  end
  return list, keys
end

-- The future that gather() awaits: it is done when all futures in `list` are. Cancelling it cancels
-- them, and it is cancelled when they have ended.
local Gathered = setmetatable({}, {__index = Future})
Gathered.__index = Gathered
Gathered.__name = "zmqloop.Future"

local function part_is_done(part)
  local all = part.all
  all.left = all.left - 1
  if all.left == 0 and not all.state then
    future.finish(all, all.is_given_up and "cancelled" or "result")
  end
end

local function gathered(loop, list)
  local all = setmetatable({loop = loop, list = list, parts = {}, left = #list}, Gathered)
  for i, item in ipairs(list) do
    local part = {all = all, place = nil}
    all.parts[i] = part
    item:subscribe(false, part_is_done, part)
  end
  if #list == 0 then
    future.finish(all, "result")
  end
  return all
end

-- The caller cancels the parts instead.
function Gathered:give_up(pending)
  self.is_given_up = true
  for i = #self.list, 1, -1 do
    pending[#pending + 1] = self.list[i]
  end
end

-- The waiting task has been ended, because its loop is closed.
function Gathered:unsubscribe(subscriber)
  Future.unsubscribe(self, subscriber)
  for i, item in ipairs(self.list) do
    item:unsubscribe(self.parts[i])
  end
end

--- Waits for all futures of a list or map and returns a table of their first results with the same
-- keys. If some failed, raises the error of the first of them, in the order of the list, when all
-- are done. Cancelling the task cancels them all; it resumes when they have ended. Only inside a
-- task.
local function gather(futures)
  local list, keys = check_futures("gather", futures)
  await("gather", gathered(task_to_suspend("gather").loop, list))
  local results = {}
  for i, item in ipairs(list) do
    results[keys[i]] = item:result()
  end
  return results
end

local function hand_out(part)
  part.done:put_nowait(part.index)
end

--- An iterator over the futures of a list or map in the order in which they are done: future, key.
-- Only inside tasks; several may share it. (Lua 5.1 cannot suspend in a `for`: call the iterator in
-- a `while` there.)
local function as_completed(futures)
  local list, keys = check_futures("as_completed", futures)
  task_to_suspend("as_completed")
  local done, parts, left = require("zmqloop.async.queues").Queue(), {}, #list
  -- Unsubscribes when the iterator is dropped early.
  local guard = future.guard(function()
    for i, part in ipairs(parts) do
      list[i]:unsubscribe(part)
    end
  end)
  for i, item in ipairs(list) do
    parts[i] = {index = i, done = done, place = nil}
    item:subscribe(false, hand_out, parts[i])
  end
  local function next_done()
    if left == 0 then
      guard = nil
      return nil
    end
    task_to_suspend("as_completed")
    left = left - 1 -- reserves one
    local got, index = compat.pcall(done.get, done)
    if not got then
      left = left + 1
      error(index, 0)
    end
    return list[index], keys[index]
  end
  return next_done, nil, nil, guard
end

-- ---- the loop's side ------------------------------------------------------------------------

-- The loop's tasks with numbers above `last` that have not ended, in order, and the last number.
local function tasks_after(loop, last)
  local numbers, list = tasks_of[loop] or {}, {}
  for task, number in pairs(numbers) do
    if not task.state and number > last then
      list[#list + 1] = task
    end
  end
  table.sort(list, function(a, b) return numbers[a] < numbers[b] end)
  return list, list[1] and numbers[list[#list]]
end

local function count_tasks(loop)
  return #tasks_after(loop, 0)
end

-- Ends a task whose loop is about to be closed. It can clean up, but not wait.
local function end_with_loop(task)
  task.is_ending = true
  if not task.coroutine or task.state then
    task:cancel()
    return
  elseif task.undo ~= nil then
    undo_wait(task)
    task.must_cancel = nil
    fail_with(task, CANCELLED)
  else
    task.must_cancel = true
    step(task) -- from its yield to its next wait
  end
  if not task.state and task.coroutine and status(task.coroutine) == "suspended" then
    undo_wait(task)
    if close then
      close(task.coroutine)
    end
    task.coroutine = nil
    future.finish(task, "cancelled")
  end
end

--- Ends the tasks of a loop that is about to be closed, oldest first: raises CANCELLED in the
-- waiting ones. Anything they were woken with but have not received is given back.
local function end_tasks(loop)
  local last = 0
  repeat
    local list, number = tasks_after(loop, last)
    for _, task in ipairs(list) do
      end_with_loop(task)
    end
    last = number
  until not number
end

--- Calls fn(future) on this loop, in the iteration after the future is done. Tornado: add_future.
function IOLoop:add_future(awaited, fn)
  check_loop("add_future", 0, self)
  check_future("add_future", 1, awaited)
  check_callable("add_future", 2, fn)
  awaited:subscribe(self, fn, false)
end

--- Runs fn as a task, and the loop until fn has returned; returns its results and raises its
-- errors. After `timeout` seconds cancels the task, waits for its end without a limit, and raises
-- "ETIMEDOUT: Operation timed out after N seconds", as with_timeout() does. If something else stops
-- the loop, cancels the task without waiting for its end and raises "EINTR: IOLoop stopped before
-- the function completed", or ETIMEDOUT if the time was up. Raises CANCELLED if the task was
-- cancelled. Not inside a running loop. Tornado: `IOLoop.run_sync`.
function IOLoop:run_sync(fn, timeout)
  check_loop("run_sync", 0, self)
  check_callable("run_sync", 1, fn)
  check_seconds("run_sync", 2, timeout)
  if self:running() then
    misuse("IOLoop is already running")
  end
  local waiting, expired = true, false
  local task = self:spawn(fn)
  local function stop()
    if waiting then
      self:stop()
    end
  end
  task:add_done_callback(stop)
  local timer = timeout and self:call_later(timeout, function()
    expired = true
    task:cancel()
  end)
  local started, failure = pcall(self.start, self)
  waiting = false
  if timer then
    timer:cancel()
  end
  if not started then
    task:cancel()
    trace.raise(failure, (trace.of(failure)))
  elseif expired then
    error(timed_out(timeout), 0)
  elseif not task:done() then
    task:cancel()
    error("EINTR: IOLoop stopped before the function completed", 0)
  end
  return task:result()
end

return classes.register("async.task", {
  Task = Task,
  CANCELLED = CANCELLED,
  sleep = sleep,
  await = await_function,
  gather = gather,
  as_completed = as_completed,
  with_timeout = with_timeout,
  shield = shield,
  pcall = compat.pcall,
  xpcall = compat.xpcall,
  current_task = current_task,
  spawn = function(fn, ...) return IOLoop.current():spawn(fn, ...) end,

  -- For zmqloop.testing.
  watch_callbacks = function(loop, fn) watchers[loop] = fn end,

  -- For loops.
  count_tasks = count_tasks,
  end_tasks = end_tasks,

  -- For streams.
  calls_of = calls_of,

  -- For modules that suspend tasks.
  task_to_suspend = task_to_suspend,
  suspend = suspend,
  is_alive = is_alive,
  wake_with = wake_with,
  fail_with = fail_with,
  timed_out = timed_out,
  can_wait = can_wait,
  who_runs = who_runs,
  task_of = task_of,
  is_over = is_over,
  is_outside = is_outside,
})
