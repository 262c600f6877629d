-- Small messages cost no memory outside Lua's once everything is running. All malloc() requests of
-- the thread are counted, libzmq's too.
local helper = require("spec.helper")
local test = helper.test

local malloccount = helper.built("malloccount.so")

-- Each case runs twice 20 times before it is counted. At most 200 frames are on their way at a
-- time: libzmq's queues allocate 256 at once, and keep one spare block.
local PROGRAM = helper.program("allocations")

describe("small messages", function()
  after_each(helper.cleanup)

  it("allocate nothing outside of Lua", test(function(t)
    if os.getenv("LD_PRELOAD") then
      pending("something else is preloaded: malloc() may be a sanitizer's")
      return
    elseif not malloccount then
      pending("needs the module malloccount of the build")
      return
    end
    local output, status = t:run_child(PROGRAM, {}, nil,
      ("export LD_PRELOAD=%s;"):format(helper.quote(malloccount)))
    assert.equal(0, status, output)
    local cases = 0
    for name, requests in output:gmatch("([^\n]+): (%d+)\n") do
      cases = cases + 1
      assert.equal(0, tonumber(requests), name)
    end
    assert.equal(14, cases, output)
  end))
end)
