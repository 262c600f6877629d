-- The programs of examples/reference, each shown on the page of its name. A line that prints ends
-- with what it prints: `print(1 + 1) --> 2`. They are run by spec/guide_spec.lua.
local examples = {}

--- The program for the page of this name; nil if there is none.
function examples.read(name)
  local file = io.open(("examples/reference/%s.lua"):format(name))
  if not file then return nil end
  local program = file:read("*a")
  file:close()
  return program
end

return examples
