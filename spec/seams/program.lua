-- Programs: what is done to the world, in which callbacks; generated from a seed, and printable.
--
-- A statement has `act` done in a callback of the kind `context`, and then, in the same callback,
-- begins the statements in `inside`. `number` decides everything left open.
local new_random = require("spec.seams.random")

local PAIRS_EACH = 6 -- of the cover, in each program
local DEEPEST = 3
local STRIDE = 7919  -- a prime: neighbours in the cover have little in common

local clocks = {"virtual", "virtual", "monotonic", "function"}
local errors = {"handler", "handler", "handler", "method", "raise"}

local function add_inside(statement, random, contexts, acts, depth)
  while depth < DEEPEST and random(10) <= 3 do
    local inner = {
      context = contexts[random(#contexts)],
      act = acts[random(#acts)],
      number = random(1000),
      inside = {},
    }
    table.insert(statement.inside, inner)
    add_inside(inner, random, contexts, acts, depth + 1)
  end
end

--- The program of a seed. Programs of seeds in a row go through all pairs of a context and an act,
-- both lists of names.
local function generate(seed, contexts, acts)
  local random = new_random(seed)
  local program = {
    seed = seed,
    clock = clocks[random(#clocks)],
    errors = errors[random(#errors)],
    storm = random(8) == 1,   -- of signals
    hurries = random(6) == 1, -- the collector
    links = 1 + random(4),
    statements = {},
  }
  local function add(context, act)
    local statement = {context = context, act = act, number = random(1000), inside = {}}
    table.insert(program.statements, random(#program.statements + 1), statement)
    add_inside(statement, random, contexts, acts, 1)
  end
  for i = 1, PAIRS_EACH do
    local index = (seed * PAIRS_EACH + i) % (#contexts * #acts) * STRIDE % (#contexts * #acts)
    add(contexts[(index - index % #acts) / #acts + 1], acts[index % #acts + 1])
  end
  for _ = 1, random(8) do add(contexts[random(#contexts)], acts[random(#acts)]) end
  return program
end

-- Calls fn(statement, depth) for each, in the order in which they are printed.
local function each(statements, fn, depth)
  for _, statement in ipairs(statements) do
    fn(statement, depth or 0)
    each(statement.inside, fn, (depth or 0) + 1)
  end
end

local function without(statements, dropped, at)
  local kept = {}
  for _, statement in ipairs(statements) do
    at.number = at.number + 1
    local number = at.number
    local inside = without(statement.inside, dropped, at)
    if not dropped[number] then
      statement.inside = inside
      kept[#kept + 1] = statement
    end
  end
  return kept
end

--- Leaves out statements, with those inside them: a set of their numbers as printed.
local function drop(program, dropped)
  program.statements = without(program.statements, dropped, {number = 0})
end

--- The program as text.
local function text(program)
  local lines = {("clock %s, errors by %s%s%s, %d links"):format(program.clock, program.errors,
    program.storm and ", a storm of signals" or "", program.hurries and ", a hurried collector" or
    "", program.links)}
  each(program.statements, function(statement, depth)
    lines[#lines + 1] = ("%3d %sin %s: %s (%d)"):format(#lines, ("  "):rep(depth),
      statement.context, statement.act, statement.number)
  end)
  return table.concat(lines, "\n")
end

return {generate = generate, drop = drop, text = text}
