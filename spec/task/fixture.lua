-- Tests of tasks on a virtual clock, and tasks that end some time later.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local sleep = zmqloop.sleep

local fixture = {}

-- A test whose body is called with its loop too.
function fixture.virtual(fn)
  return helper.test(function(t) return fn(t, t.loop) end, {clock = "virtual"})
end

-- A task that returns its arguments after this many seconds.
function fixture.later(loop, seconds, ...)
  return loop:spawn(function(...)
    sleep(seconds)
    return ...
  end, ...)
end

-- A task that fails with err after this many seconds.
function fixture.failing(loop, seconds, err)
  return loop:spawn(function()
    sleep(seconds)
    error(err, 0)
  end)
end

-- For 5.1: what fn raises in a task, without pcall inside it.
function fixture.error_of(loop, fn)
  local task = loop:spawn(fn)
  loop:advance(1000)
  assert(task:done(), "the task is not done")
  return task:error()
end

return fixture
