-- Frames that are kept for a while become old to a generational collector, which then ignores them
-- until the heap has doubled: Lua's heap, in which a frame is only a few words. 3,000 frames of 1
-- MiB were 3 GiB in Lua 5.4.
local helper = require("spec.helper")
local test = helper.test

describe("frames that are kept for a while", function()
  after_each(helper.cleanup)

  -- Keeps the last ten, and prints the most memory it had, in MiB.
  local KEEPING = [[
    local mode, objects = ...
    local status = io.open("/proc/self/status")
    if not status then print(0) return end
    if mode ~= "default" then collectgarbage(mode) end
    local heap = {}
    for i = 1, tonumber(objects) do heap[i] = {i} end
    local last = {}
    local megabyte = ("x"):rep(1024 * 1024)
    for i = 1, 1500 do
      last[i % 10] = zmqloop.zmq.Frame(megabyte)
    end
    assert(#last[0] == #megabyte and heap)
    print(tonumber(status:read("*a"):match("VmHWM:%s*(%d+)")) / 1024)
  ]]

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
