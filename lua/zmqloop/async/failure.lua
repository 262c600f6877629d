--- zmqloop.async.failure: how an error that ended a coroutine ends its task.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")
local compat = require("zmqloop.compat")
local future = require("zmqloop.async.future")
local trace = require("zmqloop.trace")

local CANCELLED = future.CANCELLED
local IS_5_1, whole, make_traceback = compat.IS_5_1, compat.whole, compat.traceback
local type = type

local close = rawget(coroutine, "close") -- from 5.4 on

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
local function trace_here(self, err)
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

local function end_failed(self, err, text)
  err = explain(err)
  if self.state and rawequal(err, "not enough memory") then
    error(err, 0) -- to tell of its end
  elseif self.state then
    return -- the user has resumed it, and it has ended
  elseif is_cancelled(err) then
    future.finish(self, "cancelled")
  else
    future.fail(self, err, text or trace.describe(err))
  end
end

return {
  is_cancelled = is_cancelled,
  trace_here = trace_here,
  close_failed = close_failed,
  end_failed = end_failed,
}
