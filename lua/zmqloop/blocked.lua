--- zmqloop.blocked: being told when a callback keeps the loop from its wait.
-- PyZMQ's and Tornado's set_blocking_signal_threshold() and its kin, as methods of loops.
local core = require("zmqloop.core")

-- One per state, as the core is: what two of them had made would not fit together.
if core.blocked_module then
  return core.blocked_module
end

local report = require("zmqloop.report")

local IOLoop = core.IOLoop

-- Loops that are watched.
local watched = setmetatable({}, {__mode = "k"})

local function watch(self, seconds, action, signal)
  local ok, message, name = core.watch_blocking(self, seconds, action, signal)
  if ok then
    watched[self] = seconds ~= nil or nil
  end
  return ok, message, name
end

-- ---- methods of loops -----------------------------------------------------------------------

--- Writes where a loop blocks to io.stderr; an action for set_blocking_signal_threshold().
-- Without a report it is the caller's traceback.
function IOLoop.log_stack(_, _, text)
  local traceback = type(debug) == "table" and debug.traceback
  report.write(text or traceback and traceback("IOLoop.log_stack", 2) or "IOLoop.log_stack")
end

--- Has action(signal, report) called when the loop has worked for so many seconds without coming to
-- its wait, at most a quarter longer; once per block, wherever it is, the first iteration included.
-- report is the text "IOLoop blocked for 0.102 seconds in", with the traceback of what runs. nil
-- as seconds ends that. The action may be the loop's log_stack.
--
-- A thread looks after the loop, only as long as this is asked for, and sends the loop's thread the
-- signal, by name or number, or with nil a realtime signal. In its handler Lua is given
-- a hook, which calls the action at the next instruction and ends there: an error that the action
-- raises is raised in what blocks. Code that does not look for hooks is told of when it is over: a
-- C function, which the report says with ", inside C," or, where that is not known, ", in C or
-- compiled code before it came here,"; code that LuaJIT has compiled; a coroutine that the user's
-- own code has resumed, unless Lua is LuaJIT. The signal cuts sleeps short.
--
-- Returns true, or nil, message, name: EAGAIN (no thread to be had), ECHILD (in a forked process).
function IOLoop:set_blocking_signal_threshold(seconds, action, signal)
  if action ~= nil and action == self.log_stack then
    return self:set_blocking_log_threshold(seconds, signal)
  end
  return watch(self, seconds, action, signal)
end

--- Has log_stack() called when the loop has blocked for so many seconds; nil ends that. See
-- set_blocking_signal_threshold().
function IOLoop:set_blocking_log_threshold(seconds, signal)
  return watch(self, seconds, function(...) self:log_stack(...) end, signal)
end

-- A coroutine that is resumed on behalf of a callback of a loop that is `watched` is resumed by
-- core.resume(loop, coroutine, ...), so that a block in it is told of.
core.blocked_module = {watched = watched}

return core.blocked_module
