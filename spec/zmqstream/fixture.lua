-- What a stream has received, and messages that are numbers.
local assert = require("luassert")

local fixture = {}

-- A list to which its own add() appends.
function fixture.log()
  local list = {}
  return list, function(value) list[#list + 1] = value end
end

-- The first frames of messages, in the order of arrival, by on_recv.
function fixture.record(stream)
  local seen, add = fixture.log()
  stream:on_recv(function(frames) add(frames[1]) end)
  return seen
end

-- "1", "2" and so on.
function fixture.numbers(first, last)
  local list = {}
  for i = first, last do list[#list + 1] = tostring(i) end
  return list
end

function fixture.send_numbers(sender, first, last)
  for i = first, last do assert.is_true(sender:send(tostring(i))) end
end

return fixture
