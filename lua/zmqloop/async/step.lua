--- zmqloop.async.step: tasks, and the callbacks that become tasks, run from one wait to the next.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.step") then
  return classes.registered("async.step")
end

local compat = require("zmqloop.compat")
local failure = require("zmqloop.async.failure")
local future = require("zmqloop.async.future")
local watched = require("zmqloop.blocked").watched

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local Future, CANCELLED, succeed = future.Future, future.CANCELLED, future.succeed
local can_yield, running = compat.can_yield, compat.running
local is_cancelled, trace_here = failure.is_cancelled, failure.trace_here
local close_failed, end_failed = failure.close_failed, failure.end_failed
local closed = core.IOLoop.closed
local resume, status, yield = coroutine.resume, coroutine.status, coroutine.yield
local rawequal, setmetatable, type = rawequal, setmetatable, type

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

-- The loop's tasks with numbers above `last` that have not ended, in order, and the last number.
local function tasks_after(loop, last)
  local numbers, list = tasks_of[loop] or {}, {}
  for task, number in pairs_of(numbers) do
    if not task.state and number > last then
      list[#list + 1] = task
    end
  end
  table.sort(list, function(a, b) return numbers[a] < numbers[b] end)
  return list, list[1] and numbers[list[#list]]
end

-- ---- coroutines -----------------------------------------------------------------------------

-- What a task's coroutine yields: it waits; it has returned and can run another function; it only
-- tests whether it can yield.
local WAITS, RETURNED, TRIES = {}, {}, compat.TRIES

-- What it is resumed with. Anything else means that the user has resumed the coroutine. Compare all
-- of these by rawequal(): the user's values, such as errors, arrive the same way, and their __eq
-- must not be called.
local WOKEN, FAILED = {}, {}

local NO_MEMORY = "not enough memory" -- Lua's error

-- Coroutines that have returned, for reuse: creating one is most of the cost of a short task.
local idle, idle_count, IDLE_MAX = {}, 0, 256

local close = rawget(coroutine, "close") -- from 5.4 on

local serve
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
    if co and status(co) == "suspended" then -- else a hook has taken it, or the user resumed it
      return co
    end
  end
  local co = coroutine.create(run)
  local ok, err = coroutine.resume(co)
  if not ok then
    error(err, 0)
  end
  return co
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
  for _, task in pairs_of(waiting_calls) do
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

-- The callback of the task is about to wait. May fail, for want of memory: then stay_in_loop().
local function leave_loop(self)
  note_task(self)
  waiting_calls[self.serial] = self
  if watchers[self.loop] then
    watchers[self.loop](self)
  end
  self.call = core.suspend_call(self.coroutine)
  self.has_left = true
end

-- The callback cannot wait: it does not become a task.
local function stay_in_loop(self)
  noted[self.coroutine], waiting_calls[self.serial] = nil, nil
  self.coroutine = nil
  future.finish(self, "cancelled")
  if self.call then
    core.resume_call(self.call)
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

-- ---- one step ----------------------------------------------------------------------------------

local function returned(self)
  if idle_count < IDLE_MAX then
    idle_count = idle_count + 1
    idle[idle_count] = self.coroutine
  end
  self.coroutine = nil
end

local function failed(self, err)
  end_failed(self, close_failed(self, err))
end

local step, stepped

-- Whether the last resume has come as far as running the coroutine.
local has_run

-- Resumes the coroutine and handles the results; `before` is the task that ran until now.
local function resume_in(self, before, ...)
  current = self
  if watched[self.loop] then
    return stepped(self, before, core.resume(self.loop, self.coroutine, ...))
  end
  return stepped(self, before, resume(self.coroutine, ...))
end

function stepped(self, before, ok, what)
  current, has_run = before, true
  if rawequal(what, RETURNED) then
    returned(self)
  elseif ok and rawequal(what, TRIES) then
    return resume_in(self, before, true)
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

-- Without memory for that, tries again in the next iteration: nobody else would wake the task.
function step(self, ...)
  if self.state then
    return -- it has already ended
  end
  local before = current
  has_run = false
  local ok, err = pcall(resume_in, self, before, ...)
  if ok then
    return
  end
  current = before
  if not has_run then
    self.loop:add_callback(step, self, ...)
  end
  if has_run or not rawequal(err, NO_MEMORY) then -- such as the error of a hook
    error(err, 0)
  end
end

local begin

function begin(self, fn, ...)
  if not self.state then
    local ok, co = pcall(take_coroutine)
    if not ok then
      self.loop:add_callback(begin, self, fn, ...)
      if not rawequal(co, NO_MEMORY) then
        error(co, 0)
      end
    elseif not self.state then -- else a finalizer has cancelled it
      self.coroutine = co
      step(self, self, fn, ...)
    end
  end
end

-- ---- which task runs ---------------------------------------------------------------------------

--- The running task; nil outside tasks. In a callback, the task that the callback may become.
local function task_or_callback()
  local task = current
  if not task or running() ~= task.coroutine then
    return callback_task()
  end
  return task
end

--- Whether the running code is inside a task, perhaps in a coroutine of its own.
local function is_in_task()
  return current ~= nil
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

--- The task of who_runs(); nil if that is not a task.
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

return classes.register("async.step", {
  Task = Task,
  WAITS = WAITS,
  WOKEN = WOKEN,
  FAILED = FAILED,
  note_task = note_task,
  tasks_after = tasks_after,
  begin = begin,
  step = step,
  leave_loop = leave_loop,
  stay_in_loop = stay_in_loop,
  task_or_callback = task_or_callback,
  is_in_task = is_in_task,
  current_task = current_task,
  calls_of = calls_of,
  can_wait = can_wait,
  who_runs = who_runs,
  task_of = task_of,
  is_over = is_over,
  is_outside = is_outside,

  -- For zmqloop.testing.
  watch_callbacks = function(loop, fn) watchers[loop] = fn end,
})
