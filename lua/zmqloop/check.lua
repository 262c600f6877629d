--- zmqloop.check: checks of arguments.
-- Internal: programs do not require it, and it may change at any time.
-- The errors name the method and the number of the argument, and are raised at the user's line.
local core = require("zmqloop.core")

local misuse = core.misuse

local check = {}

--- Raises "bad argument #N to 'method' (text)".
function check.bad(method, argument, text)
  misuse(("bad argument #%d to '%s' (%s)"):format(argument, method, text))
end

--- Raises that another type of value was expected.
function check.expected(method, argument, what, value)
  check.bad(method, argument, ("%s expected, got %s"):format(what, type(value)))
end

--- The same, but shows the value if it is a number, since it may only be out of range.
function check.number_expected(method, argument, what, value)
  if type(value) ~= "number" then
    check.expected(method, argument, what, value)
  end
  check.bad(method, argument, ("%s expected, got %s"):format(what, core.number_text(value)))
end

--- Raises for nil.
function check.value(method, argument, value)
  if value == nil then
    check.bad(method, argument, "value expected")
  end
end

--- Raises unless it is a number of seconds or nil.
function check.seconds(method, argument, value)
  if value == nil then
    check.expected(method, argument, "number of seconds", value)
  end
  core.check_seconds(method, argument, value)
end

--- Raises unless it is a table or, with `optional`, nil.
function check.table(method, argument, value, optional)
  if type(value) ~= "table" and not (optional and value == nil) then
    check.expected(method, argument, "table", value)
  end
end

return check
