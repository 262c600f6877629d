-- Random programs that combine everything with everything: each act in each kind of callback,
-- callbacks inside callbacks, with signals, forks, cancellations, finalizers and short memory.
-- Nothing may crash, hang, be lost, be reported twice, or be left behind. See spec/seams/:
-- contexts.lua has the callbacks, acts.lua the acts, oracle.lua the rules.
--
-- Environment: ZMQLOOP_SEAMS_SECONDS, how long, for each backend; if set, the coverage is printed.
-- ZMQLOOP_SEED: runs the one program of that seed, which a failure prints.
local helper = require("spec.helper")
local test = helper.test

local GIVEN_SECONDS = tonumber(os.getenv("ZMQLOOP_SEAMS_SECONDS"))
local SECONDS = GIVEN_SECONDS or 1
local SEED = tonumber(os.getenv("ZMQLOOP_SEED"))
local BACKENDS = helper.backend and {helper.backend} or {"epoll", "poll"}

local MOST_SECONDS = 60 -- of one program, on a busy machine
local SHRINK_SECONDS = 60
local PARTS = {32, 16, 8, 4, 2, 1} -- statements left out at once

local SOURCE = 'require("spec.seams.runner").main(...)'

-- The output, and the part that shows a fault; nil if all was well.
local function run(t, backend, seed, seconds, dropped, limit)
  local output, status = t:run_child(SOURCE, {backend, ("%d"):format(seed), seconds,
    table.concat(dropped, ",")}, limit)
  if status == 0 and output:find("ended well\n$") then return output end
  return output, ("status %d: %s"):format(status, output:match(".*seed %d+\n(.-)$") or output)
end

-- What two failures of one fault have in common.
local function kind_of(fault)
  return fault:match("^[^\n]*"):gsub("%d+", "N"):sub(1, 40)
end

-- The statements from first to last, added to a list.
local function with_range(list, first, last)
  local longer = {}
  for i, number in ipairs(list) do longer[i] = number end
  for number = first, last do longer[#longer + 1] = number end
  return longer
end

-- Leaves out what can be left out, large parts before small ones.
-- What the programs before have left, such as the state of the collector, may matter.
local function shrink(t, backend, seed, fault)
  local kind, dropped, ends = kind_of(fault), {}, os.time() + SHRINK_SECONDS
  local _, alone = run(t, backend, seed, 0, dropped, 10)
  if not alone then return "it is well" end
  for _, size in ipairs(PARTS) do
    for first = 1, 2 * PARTS[1], size do
      if os.time() >= ends then return fault end
      local tried = with_range(dropped, first, first + size - 1)
      local _, still = run(t, backend, seed, 0, tried, 10)
      if still and kind_of(still) == kind then fault, dropped = still, tried end
    end
  end
  return fault
end

local function fail(t, backend, first, seed, fault)
  error(("ZMQLOOP_SEED=%d ZMQLOOP_BACKEND=%s, in a run from %d: %s\n\nby itself, and without what "
    .. "can be left out: %s"):format(seed, backend, first, fault,
    shrink(t, backend, seed, fault)), 0)
end

describe("random programs", function()
  after_each(helper.cleanup)

  for _, backend in ipairs(BACKENDS) do
    it("cross each act with each kind of callback, and leave nothing behind: " .. backend,
      test(function(t)
        local seed = SEED or (os.time() * 7919 + math.floor(os.clock() * 1e6)) % 2147000000
        local output, fault = run(t, backend, seed, SEED and 0 or SECONDS, {},
          SECONDS + MOST_SECONDS)
        if fault then
          local last
          for found in output:gmatch("seed (%d+)\n") do last = tonumber(found) end
          fail(t, backend, seed, last or seed, fault)
        end
        if GIVEN_SECONDS then
          print(("note: seams, %s, from seed %d: %s"):format(backend, seed,
            output:match("ran [^\n]*")))
          for pair in output:gmatch("missed ([^\n]*)") do print("note: never run: " .. pair) end
        end
      end))
  end
end)
