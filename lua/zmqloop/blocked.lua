--- zmqloop.blocked: reports callbacks that keep the loop from its wait.
-- Internal: programs do not require it, and it may change at any time.
-- PyZMQ's and Tornado's set_blocking_signal_threshold() and set_blocking_log_threshold(), as
-- methods of loops.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("blocked") then
  return classes.registered("blocked")
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
-- Without a report it writes the caller's traceback.
function IOLoop.log_stack(_, _, text)
  local traceback = type(debug) == "table" and debug.traceback
  report.write(text or traceback and traceback("IOLoop.log_stack", 2) or "IOLoop.log_stack")
end

--- Calls action(signal, report) when the loop has run for this many seconds, or up to a quarter
-- longer, without reaching its wait; once per block. report is the text "IOLoop blocked for 0.102
-- seconds in", with the traceback of the running code. The action may be the loop's log_stack. nil
-- as seconds turns this off.
--
-- While the loop is watched a thread sends the loop's thread the signal, by name or number, or
-- with nil a realtime signal. Its handler sets a hook, which calls the action at the next
-- instruction; an error of the action is raised in the code that blocks. Code that does not run
-- hooks is reported when it ends: C functions, which the report marks with ", inside C," or, if
-- that is not known, ", in C or compiled code before it came here,"; code that LuaJIT has
-- compiled; and, unless Lua is LuaJIT, coroutines that the user's code has resumed. The signal
-- interrupts sleeps.
--
-- Returns true, or nil, message, name: EAGAIN (no thread could be created), ECHILD (in a forked
-- child).
function IOLoop:set_blocking_signal_threshold(seconds, action, signal)
  if action ~= nil and action == self.log_stack then
    return self:set_blocking_log_threshold(seconds, signal)
  end
  return watch(self, seconds, action, signal)
end

--- Calls log_stack() when the loop has blocked for this many seconds; nil turns this off. See
-- set_blocking_signal_threshold().
function IOLoop:set_blocking_log_threshold(seconds, signal)
  return watch(self, seconds, function(...) self:log_stack(...) end, signal)
end

-- Coroutines that run for a `watched` loop are resumed by core.resume(loop, coroutine, ...), so
-- that a block in them is reported.
return classes.register("blocked", {watched = watched})
