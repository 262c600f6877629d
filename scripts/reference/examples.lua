-- The programs of examples/reference, each shown on the page of its name. A line that prints ends
-- with what it prints: `print(1 + 1) --> 2`.
local examples = {}

local FOLDER = "examples/reference/"

function examples.path(name)
  return FOLDER .. name .. ".lua"
end

-- Nil if there is none.
function examples.read(name)
  local file = io.open(examples.path(name))
  if not file then return nil end
  local program = file:read("*a")
  file:close()
  return program
end

-- What a program prints, according to its comments.
function examples.expected(program)
  local lines = {}
  for line in program:gmatch("%-%-> ([^\n]*)") do lines[#lines + 1] = line .. "\n" end
  return table.concat(lines)
end

function examples.names()
  local names = {}
  local pipe = assert(io.popen("LC_ALL=C ls " .. FOLDER))
  for file in pipe:lines() do names[#names + 1] = file:match("^(.*)%.lua$") end
  pipe:close()
  return names
end

return examples
