-- How hard the garbage collector works, in any version of Lua. Separate from the helper, for
-- programs that specs start: in a small heap a collection ends sooner.
local collector = {}

--- A step multiplier with which each step is a whole collection, up to 5.3 that of a small heap.
collector.WHOLE = 100000

local HAS_MODES = _VERSION >= "Lua 5.4"
local HAS_PARAMS = _VERSION >= "Lua 5.5"

local LARGEST = 1000 -- of the step multipliers of 5.4
local USUAL_STEP, WHOLE_STEP = 13, 24 -- of 5.4, as powers of two

local function exchange(name, value)
  if HAS_PARAMS then return collectgarbage("param", name, value) end
  return collectgarbage("set" .. name, value)
end

--- Sets the pause and the step multiplier, in percent, and returns what they were, and the mode.
-- The mode is "incremental" unless given: the other one, in which the interpreter starts from 5.4
-- on, heeds neither.
function collector.set(pause, stepmul, mode)
  local pause_before = exchange("pause", pause)
  if not HAS_MODES then return pause_before, exchange("stepmul", stepmul) end
  if HAS_PARAMS then
    local stepmul_before = exchange("stepmul", stepmul < collector.WHOLE and stepmul or 0)
    return pause_before, stepmul_before, collectgarbage(mode or "incremental")
  end
  local step = stepmul > LARGEST and WHOLE_STEP or USUAL_STEP
  local stepmul_before = exchange("stepmul", math.min(stepmul, LARGEST))
  local mode_before = collectgarbage("incremental", 0, 0, step) -- 0: as it is
  if mode then collectgarbage(mode) end
  return pause_before, stepmul_before, mode_before
end

--- Returns a value that calls fn when it is collected.
function collector.finalized(fn)
  local newproxy = rawget(_G, "newproxy") -- where tables have no finalizers
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = fn
    return proxy
  end
  return setmetatable({}, {__gc = fn})
end

return collector
