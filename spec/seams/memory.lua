-- Short memory, and an eager collector.
local collector = require("spec.collector")
local helper = require("spec.helper")
local found, faultalloc = pcall(require, "faultalloc")

local memory = {available = found}

local armed = false

--- The n-th allocation from here on fails, until off(). Or none does.
function memory.fail_once(n)
  if not found then return end
  armed = true
  faultalloc.fail_once(n)
end

--- Allocations succeed again. Allocates nothing itself.
function memory.off()
  if armed then
    faultalloc.off()
    armed = false
  end
end

--- The collector goes at its usual speed, or with every allocation.
function memory.usual(hurries)
  collector.set(hurries and 1 or 200, hurries and 1000 or 200)
end

--- Drops garbage whose finalizer calls fn in one of the next allocations.
function memory.drop(fn)
  local garbage = helper.finalized(fn)
  collector.set(0, collector.WHOLE)
  collectgarbage() -- the next collection begins with the next allocations
  return garbage and nil
end

return memory
