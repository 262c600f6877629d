-- Runs programs, in a process of its own, which an abort may end.
--
-- Arguments: the backend; the first seed; the seconds, or 0 for that one program; what to leave out
-- of it, as numbers with commas. Prints "seed N" before each program. When one was wrong prints the
-- fault and the program, and ends; when the time is over prints the coverage.
local acts = require("spec.seams.acts")
local contexts = require("spec.seams.contexts")
local program = require("spec.seams.program")
local World = require("spec.seams.world")

local function names_of(entries)
  local names = {}
  for name in pairs(entries) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local context_names, act_names = names_of(contexts), names_of(acts)

-- Frames of its own keep nothing alive.
local function run(it, backend, pipe, ran)
  local world = World.new(it, backend, pipe)
  local storm = it.storm and require("sigstorm")
  if storm then storm.start(1000) end
  world:run()
  if storm then storm.stop() end
  world:wind_up()
  world:release()
  for pair in pairs(world.ran) do ran[pair] = true end
  return world
end

local function faults_of(it, backend, pipe, ran)
  local ok, world = xpcall(function() return run(it, backend, pipe, ran) end,
    function(err) return debug.traceback(tostring(err)) end)
  if not ok then return {world} end
  for _ = 1, 5 do collectgarbage() end -- what has a finalizer takes several
  if not rawget(_G, "jit") then world:check_collected() end -- compiled code keeps values
  world.oracle:finish()
  return world.oracle.faults
end

local function open_pipe()
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  local reader, writer = assert(io.open(path, "r+")), assert(io.open(path, "r+"))
  os.remove(path)
  return {reader, writer}
end

local function main(backend, first, seconds, left_out)
  io.stdout:setvbuf("line") -- what is killed has told its seed
  local pipe, ran, seed, count = open_pipe(), {}, tonumber(first), 0
  local dropped = {}
  for number in (left_out or ""):gmatch("%d+") do dropped[tonumber(number)] = true end
  local clock = require("zmqloop").IOLoop()
  local ends = clock:time() + tonumber(seconds)
  repeat
    local it = program.generate(seed, context_names, act_names)
    program.drop(it, dropped)
    print(("seed %d"):format(seed))
    local faults = faults_of(it, backend, pipe, ran)
    if faults[1] then
      print(table.concat(faults, "\n"))
      print(program.text(it))
      os.exit(1)
    end
    seed, count = seed + 1, count + 1
  until clock:time() >= ends
  local missing, pairs_run = {}, 0
  for _, context in ipairs(context_names) do
    for _, act in ipairs(act_names) do
      local pair = context .. " x " .. act
      if ran[pair] then pairs_run = pairs_run + 1 else missing[#missing + 1] = pair end
    end
  end
  print(("ran %d programs, %d of %d pairs"):format(count, pairs_run, #context_names * #act_names))
  for i = 1, math.min(#missing, 20) do print("missed " .. missing[i]) end
  print("ended well")
end

return {main = main}
