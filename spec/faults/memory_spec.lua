-- Memory that runs out, at each place where it is asked for.
local helper = require("spec.helper")
local test = helper.test

local function has_module(name)
  return (pcall(require, name))
end

describe("memory that runs out", function()
  after_each(helper.cleanup)

  -- One short life of everything, again and again, each time with another
  -- request for memory failing, until one comes through. What a callback needs
  -- is made beforehand, so that only the library asks for memory in it.
  local SCENARIO = helper.program("life_without_memory")

  for _, mode in ipairs{"fail_from", "fail_once"} do
    it("is a clean error at every point (" .. mode .. ")", test(function(t)
      if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
      local output, status = t:run_child(SCENARIO, {mode}, 60)
      assert.equal(0, status, output)
      local requests = tonumber(output:match("^came through after (%d+)\n$"))
      assert.is_number(requests, output)
      assert.is_true(requests > 20)
    end))
  end

  it("loses no message of one frame on its way to a callback", test(function(t)
    if not has_module("faultalloc") then pending("needs the module faultalloc of the build") end
    for _, mode in ipairs{"fail_from", "fail_once"} do
      local output, status = t:run_child(helper.program("frame_without_memory"), {mode}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end
  end))
end)
