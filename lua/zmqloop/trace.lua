--- zmqloop.trace: where errors were raised, and through which tasks they passed.
-- Internal: programs do not require it, and it may change at any time.
-- An error keeps its value. Its trace is a separate text: the error, the stack where it was raised
-- and where each task awaited it. A failed future keeps the trace; when the error is raised again
-- it is noted here, for traceback().
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("trace") then
  return classes.registered("trace")
end

local stack = rawget(_G, "debug") and debug.traceback

-- Weak: error object -> trace. For other values the core notes the last trace.
local of_objects = setmetatable({}, {__mode = "k"})

-- In characters; nothing is added to a longer trace.
local LONGEST = 16000

local trace = {}

--- Any error as text, for debug.traceback(), which stops at a zero byte.
function trace.describe(err)
  local ok, text = pcall(tostring, err)
  if not ok or type(text) ~= "string" then
    return ("(error object is a %s value)"):format(type(err))
  end
  return text:find("\0", 1, true) and core.printable(text) or text
end

--- The trace of an error that was raised again and, if known, the coroutine in which; or nil.
function trace.of(err)
  local last, text, co = core.last_error()
  if text and rawequal(last, err) then
    return text, co
  elseif type(err) == "table" or type(err) == "userdata" then
    return of_objects[err]
  end
end

--- The trace, with a last line that names `who` ran in that stack.
function trace.with_label(text, who)
  return who and ("%s\n\tin %s"):format(text, who) or text
end

--- The trace of an error that has ended the coroutine in which `who` ran.
function trace.new(co, err, who)
  local text = trace.describe(err)
  return trace.with_label(stack and stack(co, text) or text, who)
end

--- The trace `text` with a further entry: `who`, in coroutine `co`, awaited the error.
function trace.longer(text, co, who)
  if #text > LONGEST then
    return text:sub(-4) == "\n..." and text or text .. "\n..."
  end
  local lines = core.user_lines(co)
  return ("%s\nawaited%s%s\n\tin %s"):format(text, lines ~= "" and " at" or "", lines, who)
end

--- Raises the error again; `text` is its trace or nil. If nothing can catch it, raises the trace,
-- which becomes the message that ends the program.
function trace.raise(err, text)
  if text and (type(err) == "table" or type(err) == "userdata") then
    of_objects[err] = text
  end
  core.raise_traced(err, text)
end

--- The trace of an error, or its text if there is none, followed by the stack of the caller. For
-- errors that were caught, and as a message handler for xpcall(), like debug.traceback().
function trace.traceback(err)
  local text = trace.of(err) or trace.describe(err)
  return stack and stack(text, 2) or text
end

return classes.register("trace", trace)
