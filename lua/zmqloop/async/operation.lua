--- zmqloop.async.operation: try now, else wait in line until the object is ready.
-- Internal: programs do not require it, and it may change at any time.
-- The mechanism of green sockets and of stream:send_wait().
--
-- A place is where tasks wait for an object: a table with the fields `object`, `is_closed`,
-- `attempting`, which is false at first, and lines, Waiters by name. The object has it in its field
-- `place_`; false until there is one. Whatever learns that the object may be ready calls serve(),
-- which makes the attempts of the waiting tasks. A task is resumed only with a result, so one that
-- stops waiting has done nothing.
--
-- A kind of operation is a table:
--   method    its name, for errors
--   line      the name of the line in which its tasks wait
--   attempt   fn(object, a, b, who): makes it without waiting. Returns a result; or nil, message,
--             name: "EAGAIN" if the object is not ready, HELD while another task is in the middle
--             of a message. Without `who` it is made for a waiting task.
--   seconds   fn(object, a, b): how long it may wait; nil: no limit; false: not at all
--   place     fn(object, task): the place where the task is to wait, made if there is none
--   late      fn(object, a, b): the results of an operation that was not possible in time
--   is_ready  fn(object): whether an attempt need not fail. nil if readiness is told only once:
--             then a task waits only if an attempt has failed.
--   side, note  the object's field for the owner of a message, and fn(object, who), called after an
--             operation of `who` that has waited
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.operation") then
  return classes.registered("async.operation")
end

local task = require("zmqloop.async.task")

local IOLoop = core.IOLoop
local can_wait, is_outside, task_to_suspend = task.can_wait, task.is_outside, task.task_to_suspend
local unpack = require("zmqloop.compat").unpack

-- How many waiters of a line are served in a turn.
local BATCH = 64

-- How many operations in a row may succeed without waiting.
local AT_ONCE_MOST = 256

-- An attempt fails with this name while another task is in the middle of a message.
local HELD = "HELD"

-- What a wait returns if the object has become ready before it began.
local AGAIN = "AGAIN"

local at_once = AT_ONCE_MOST -- how many are left

-- The running task should wait, so that others get their turn; can it?
local function end_turn(is_task)
  at_once = AT_ONCE_MOST
  return is_task or can_wait() or false
end

--- Counts an operation. Returns whether the running task should wait now, so that others get their
-- turn; only if it can wait, which the caller may know.
local function is_turn_over(is_task)
  at_once = at_once - 1
  return at_once < 0 and end_turn(is_task)
end

--- Returns fn(...), called in a task: outside tasks and callbacks runs the current loop until it
-- has returned.
local function in_task(fn, ...)
  if not is_outside() then
    return fn(...)
  end
  local n, arguments = select("#", ...), {...}
  return IOLoop.current():run_sync(function() return fn(unpack(arguments, 1, n)) end)
end

-- The results of an operation that has failed, or that has waited for too long: then `result` is
-- false.
local function failed(kind, object, a, b, result, message, name)
  if result == false or name == HELD then
    return kind.late(object, a, b)
  end
  return nil, message, name
end

local perform

-- Puts the running task in line. `untried`: no attempt was made, because its turn is over; one that
-- fails at once, for example with EFSM, would never be served, since the object is not ready.
local function wait(kind, object, untried, who, a, b)
  local waiting = task_to_suspend(kind.method)
  local seconds = kind.seconds(object, a, b)
  local waits, result, message, name = seconds ~= false, nil, nil, nil
  if not waits or untried and not kind.is_ready(object) then
    result, message, name = kind.attempt(object, a, b, who)
    waits = waits and (name == "EAGAIN" or name == HELD)
  end
  if waits then
    local line = kind.place(object, waiting)[kind.line]
    result, message, name = line:wait(waiting, seconds, kind.attempt, a, b)
  end
  if result == AGAIN then
    return perform(kind, object, kind.attempt, false, a, b, who)
  elseif not result then
    return failed(kind, object, a, b, result, message, name)
  elseif who then
    kind.note(object, who)
  end
  return result
end

--- Performs an operation of this kind on the object: attempts it, if nobody waits in its line, and
-- otherwise suspends the running task, or outside tasks and callbacks runs the current loop. A task
-- whose operations always succeed is suspended from time to time, before the attempt, if the kind
-- has is_ready(). `now`: makes that first attempt, in place of the kind's. `only`: never waits.
-- `who`: the caller, if it matters who owns a message. Returns the result of the attempt; or nil,
-- message, name.
function perform(kind, object, now, only, a, b, who)
  local tries, is_over = only, false
  if not only then
    local place = object.place_
    at_once = at_once - 1
    if not (place and place[kind.line].first) then
      is_over = at_once < 0 and kind.is_ready and end_turn()
      tries = not is_over
    end
  end
  if tries then
    local result, message, name = now(object, a, b, who)
    if result then
      return result
    elseif only or name ~= "EAGAIN" and name ~= HELD then
      return failed(kind, object, a, b, result, message, name)
    end
  end
  if is_outside() then
    return in_task(wait, kind, object, is_over, who, a, b)
  end
  return wait(kind, object, is_over, who, a, b)
end

local function attempt_for(place, waiter)
  place.attempting = true
  return waiter.attempt(place.object, waiter.a, waiter.b)
end

-- Passes on the results of pcall(attempt_for). If serve() was called meanwhile, by a finalizer or
-- hook, the object may be ready after all.
local function attempted(place, ok, result, message, name)
  local again = place.attempting == AGAIN
  place.attempting = false
  if ok and again and name == "EAGAIN" then
    return ok, result, message, AGAIN
  end
  return ok, result, message, name
end

-- Resumes the waiter. If a finalizer has ended its wait inside the attempt, a received message goes
-- to the next one that wants such a message.
local function give(line, waiter, receives, ...)
  local attempt = waiter.attempt
  while waiter and not line:serve(waiter, ...) do
    waiter = receives and line:head()
    if waiter and waiter.attempt ~= attempt then
      return
    end
  end
end

--- Makes the attempts of the tasks in a line, in order; not those of tasks that join meanwhile.
-- Returns nil, or the name with which one has failed: "EAGAIN" or HELD; and whether it was the
-- first one. Inside an attempt it makes none: two for the same task could both succeed.
local function serve(place, line_name)
  if place.attempting then
    place.attempting = AGAIN
    return nil
  end
  local line = place[line_name]
  local last = line.last
  for i = 1, BATCH do
    local waiter = line:head()
    if not waiter or place.is_closed then
      return nil
    end
    local ok, result, message, name = attempted(place, pcall(attempt_for, place, waiter))
    if not ok then
      line:fail(waiter, result)
    elseif name == "EAGAIN" or name == HELD then
      return name, i == 1
    elseif name ~= AGAIN then
      give(line, waiter, line_name == "readers", result, message, name)
    end
    if waiter == last and name ~= AGAIN then
      return nil
    end
  end
end

--- Ends the waits in these lines of a place: they fail with this error.
local function fail_waits(place, line_names, code)
  for _, line_name in ipairs(line_names) do
    local line = place[line_name]
    while line.first do
      line:serve(line.first, core.failure(code))
    end
  end
end

return classes.register("async.operation", {
  HELD = HELD,
  AGAIN = AGAIN,
  is_turn_over = is_turn_over,
  in_task = in_task,
  perform = perform,
  serve = serve,
  fail_waits = fail_waits,
})
