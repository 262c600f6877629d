--- zmqloop.async.task: functions that wait without blocking the loop.
-- Internal: programs do not require it, and it may change at any time.
-- loop:spawn(fn) runs fn in a coroutine, which calls such as sleep() and Future:await() suspend
-- without blocking the loop. A task is a future of what its function returns.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.task") then
  return classes.registered("async.task")
end

local check = require("zmqloop.check")
local compat = require("zmqloop.compat")
local future = require("zmqloop.async.future")
local steps = require("zmqloop.async.step")

local misuse, check_loop = core.misuse, core.check_loop
local check_callable, check_seconds = core.check_callable, core.check_seconds
local IOLoop, Task = core.IOLoop, steps.Task
local Future, CANCELLED, check_future = future.Future, future.CANCELLED, future.check_future
local add_callback, closed = IOLoop.add_callback, IOLoop.closed
local can_yield, obstacle, make_traceback = compat.can_yield, compat.obstacle, compat.traceback
local begin, step = steps.begin, steps.step
local leave_loop, stay_in_loop = steps.leave_loop, steps.stay_in_loop
local task_or_callback, is_in_task = steps.task_or_callback, steps.is_in_task
local note_task, tasks_after = steps.note_task, steps.tasks_after
local WAITS, WOKEN, FAILED = steps.WAITS, steps.WOKEN, steps.FAILED
local status, yield = coroutine.status, coroutine.yield
local rawequal, setmetatable, type = rawequal, setmetatable, type

local close = rawget(coroutine, "close") -- from 5.4 on

-- ---- waiting --------------------------------------------------------------------------------

-- A finalizer may wake tasks, hence any allocation may. So an operation that waits first allocates,
-- then checks whether it still has to wait, and then registers with whatever will wake the task.
-- Between that and the yield the task may be woken too: see wake().
--
-- While a task waits, `undo` removes its registration, or if that is in `awaits` only the timer; it
-- is false if there is nothing to remove. It also removes part of a registration: a wait that
-- cannot begin, for want of memory or because a hook raises, must not end another wait of the task.

-- Calls fn(task, ...) after this many seconds.
local function set_timer(task, seconds, fn, ...)
  task.timer = false -- makes room first: without that it could not be stopped
  task.timer = task.loop:call_later(seconds, fn, task, ...)
  return true
end

--- Stops the timer of a waiting task, or of a waiter in a line.
local function stop_timer(waiting)
  if waiting.timer then
    waiting.timer:cancel()
    waiting.timer = nil
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

local is_alive, begin_wait, suspend

local function is_needed()
  return true
end

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
  local task = task_or_callback()
  if not task then
    misuse(("%s: only inside a task; start it with loop:spawn()%s"):format(method,
      is_in_task() and ", not as a coroutine inside of another task" or ""))
  end
  local can, why = can_yield()
  if not can then
    misuse(("%s: cannot wait here, %s"):format(method, why or obstacle()))
  elseif task.must_cancel then
    if task.is_callback and not task.has_left then
      begin_wait(task, false, is_needed) -- makes it a task: then CANCELLED is not its error
      suspend(task)
    end
    task.must_cancel = nil
    error(CANCELLED, 0)
  end
  return task
end

-- The registration is complete.
local function note_wait(task, undo)
  if not task.is_due then
    task.undo = undo
    if task.must_cancel then -- by a finalizer, since task_to_suspend() checked
      task.must_cancel = nil
      task:cancel()
    end
  end
  if task.is_callback and not task.has_left then
    leave_loop(task) -- last: there is no way back
  end
end

-- One protected call for both: pcall() itself may lack memory, for its stack.
local function register_and_note(task, undo, register, ...)
  local waits, a, b, c = register(task, ...)
  if waits then
    note_wait(task, undo)
  end
  return waits, a, b, c
end

local function abandon_wait(task, undo)
  task.is_due = nil
  task.undo = undo
  undo_wait(task)
  if task.is_callback and not task.has_left then
    stay_in_loop(task)
  end
end

--- Begins a wait of the running task, which task_to_suspend() returned; suspend() must follow.
-- register(task, ...) arranges that wake_with() or fail_with() will be called, and returns true; or
-- false and up to three other values, if there is nothing to wait for. undo(task) must remove what
-- it has arranged, even if it has raised an error half-way; false: nothing. Returns what register()
-- has returned, and raises its errors.
function begin_wait(task, undo, register, ...)
  local ok, waits, a, b, c = pcall(register_and_note, task, undo, register, ...)
  if not ok then
    abandon_wait(task, undo)
    error(waits, 0)
  end
  return waits, a, b, c
end

--- Suspends the running task after begin_wait(). Returns the arguments of wake_with().
function suspend(task)
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

local wake_due

local function wake(task, how, ...)
  if task.state then
    return
  end
  task.undo = nil
  if status(task.coroutine) == "suspended" then
    task.is_due = nil
    step(task, how, ...)
  elseif is_alive(task) then -- it is about to be suspended
    task.is_due = true
    task.loop:add_callback(wake_due, task, how, ...)
  end
end

function wake_due(task, how, ...)
  if task.is_due then -- else that wait could not begin
    wake(task, how, ...)
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

-- Without memory for that text, the lack of it is the error.
local function time_out(task, seconds)
  local _, err = pcall(timed_out, seconds)
  undo_wait(task)
  fail_with(task, err)
end

-- Called by the loop when a future that the task awaits is done.
local function awaited_is_done(task, awaited)
  if task.awaits ~= awaited then
    return
  end
  stop_timer(task)
  if task.expired and not task.must_cancel then
    return time_out(task, task.expired)
  end
  task.awaits, task.expired = nil, nil
  if task.must_cancel then
    task.must_cancel = nil
    fail_with(task, CANCELLED)
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
    time_out(task, seconds)
  end
end

local function register_await(task, awaited, seconds, cancels)
  if seconds then
    set_timer(task, seconds, expire, seconds, cancels)
  end
  task.awaits = awaited
  awaited:subscribe(task.loop, awaited_is_done, task)
  return true
end

local function await(method, awaited, seconds, cancels)
  local task = task_to_suspend(method)
  if awaited == task then
    misuse(("%s: a task cannot wait for itself"):format(method))
  end
  begin_wait(task, stop_timer, register_await, awaited, seconds, cancels)
  suspend(task)
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
  if self.must_cancel and is_alive(self) and status(self.coroutine) == "suspended" then
    undo_wait(self)
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
    local state = status(self.coroutine)
    if state == "suspended" or state == "dead" then -- memory may lack to wake it, or to end it
      self.loop:add_callback(raise_cancelled, self)
    end
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
  begin_wait(task, stop_timer, set_timer, seconds, end_sleep)
  suspend(task)
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

-- ---- the loop's side ------------------------------------------------------------------------

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

return classes.register("async.task", classes.extend({
  Task = Task,
  CANCELLED = CANCELLED,
  sleep = sleep,
  await = await_function,
  with_timeout = with_timeout,
  pcall = compat.pcall,
  xpcall = compat.xpcall,
  current_task = steps.current_task,
  spawn = function(fn, ...) return IOLoop.current():spawn(fn, ...) end,

  -- For loops.
  count_tasks = count_tasks,
  end_tasks = end_tasks,

  -- For modules that suspend tasks.
  task_to_suspend = task_to_suspend,
  begin_wait = begin_wait,
  suspend = suspend,
  stop_timer = stop_timer,
  is_alive = is_alive,
  wake_with = wake_with,
  fail_with = fail_with,
  timed_out = timed_out,
  await_future = await,
}, {
  shield = "async.combine", gather = "async.combine", as_completed = "async.combine",
  watch_callbacks = steps, calls_of = steps, can_wait = steps, who_runs = steps,
  task_of = steps, is_over = steps, is_outside = steps,
}))
