-- Frames that are kept for a while become old to a generational collector, which then ignores them
-- until the heap has doubled: Lua's heap, in which a frame is only a few words. 3,000 frames of 1
-- MiB were 3 GiB in Lua 5.4.
local helper = require("spec.helper")
local test = helper.test

describe("frames that are kept for a while", function()
  after_each(helper.cleanup)

  -- Keeps the last ten, and prints the most memory it had, in MiB.
  local KEEPING = helper.program("frames_that_grow_old")

  local modes = {"default"}
  if _VERSION >= "Lua 5.4" then modes = {"incremental", "generational"} end

  for _, mode in ipairs(modes) do
    for _, objects in ipairs{0, 300000} do
      it(("do not pile up when they are dropped (%s, %d objects)"):format(mode, objects),
        test(function(t)
          local output, status = t:run_child(KEEPING, {mode, objects}, 60)
          assert.equal(0, status, output)
          -- of 1,500, and of the sanitizer's own
          local most = os.getenv("LD_PRELOAD") and 1000 or 400
          assert.is_true(tonumber(output) < most, output)
        end))
    end
  end
end)
