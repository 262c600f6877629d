--- zmqloop.trace: where errors were raised, and through which tasks they came.
-- An error stays the value that it is. Its trace is a text: the error, the stack where it was
-- raised, and for each task that awaited it where that was. A failed future keeps it; of an error
-- that is raised again it is noted here, so that whoever catches it can ask.
local core = require("zmqloop.core")

-- One per state, as the core is.
if core.trace_module then
  return core.trace_module
end

local stack = rawget(_G, "debug") and debug.traceback

-- Weak: error object -> trace. Of other values the core notes the last one.
local of_objects = setmetatable({}, {__mode = "k"})

-- A trace longer than that gets no longer.
local LONGEST = 16000

local trace = {}

--- An error as text, whatever it is, for debug.traceback(), which takes a zero byte for its end.
function trace.describe(err)
  local ok, text = pcall(tostring, err)
  if not ok or type(text) ~= "string" then
    return ("(error object is a %s value)"):format(type(err))
  end
  return text:find("\0", 1, true) and core.printable(text) or text
end

--- The trace of an error that was raised again, and the coroutine in which, if that is known; nil
-- if nothing is known of it.
function trace.of(err)
  local last, text, co = core.last_error()
  if text and rawequal(last, err) then
    return text, co
  elseif type(err) == "table" or type(err) == "userdata" then
    return of_objects[err]
  end
end

--- A trace of the stack of `who`.
function trace.with_label(text, who)
  return who and ("%s\n\tin %s"):format(text, who) or text
end

--- The trace of an error that has ended a coroutine, in which `who` has run.
function trace.new(co, err, who)
  local text = trace.describe(err)
  return trace.with_label(stack and stack(co, text) or text, who)
end

--- The trace of an error that came to `who` in the coroutine with this trace.
function trace.longer(text, co, who)
  if #text > LONGEST then
    return text:sub(-4) == "\n..." and text or text .. "\n..."
  end
  local lines = core.user_lines(co)
  return ("%s\nawaited%s%s\n\tin %s"):format(text, lines ~= "" and " at" or "", lines, who)
end

--- Raises the error again, of which the trace, or nil, is known. Where nobody can catch it, it is
-- the trace that is raised, for the message that ends the program.
function trace.raise(err, text)
  if text and (type(err) == "table" or type(err) == "userdata") then
    of_objects[err] = text
  end
  core.raise_traced(err, text)
end

--- The text of an error with its trace, followed by the stack of the caller: what debug.traceback()
-- is for others. For errors that were caught, and as xpcall()'s message handler.
function trace.traceback(err)
  local text = trace.of(err) or trace.describe(err)
  return stack and stack(text, 2) or text
end

core.trace_module = trace

return trace
