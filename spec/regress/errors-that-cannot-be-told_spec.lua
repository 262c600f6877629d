-- A faulty error, or one at a bad moment, must still be reported, and the loop must continue.
local helper = require("spec.helper")

local has_faultalloc = pcall(require, "faultalloc")

local OUT_OF_MEMORY = helper.program("error_without_memory")

describe("an error of a callback", function()
  after_each(helper.cleanup)

  it("is told if its object has no text", helper.test(function(t)
    local output, status = t:run_child(helper.program("errors_without_text"))
    local _, told = output:gsub("Exception in callback [^\n]+:\n", "")
    for times in output:gmatch("the same (%d+) times") do told = told + times - 1 end
    assert.equal(8, told)
    assert.truthy(output:find("(error object is a table value without a text)", 1, true))
    assert.truthy(output:find("goes on", 1, true))
    assert.equal(0, status)
  end))

  it("is told if the callback has no text", helper.test(function(t)
    local output, status = t:run_child(helper.program("callback_without_text"))
    assert.truthy(output:find("boom", 1, true))
    assert.truthy(output:find("goes on", 1, true))
    assert.equal(0, status)
  end))

  it("is told where there is no io", helper.test(function(t)
    local output, status = t:run_child(helper.program("error_without_io"))
    assert.truthy(output:find("Exception in callback ", 1, true))
    assert.truthy(output:find("boom", 1, true))
    assert.truthy(output:find("goes on", 1, true))
    assert.equal(0, status)
  end))

  for _, mode in ipairs({"fail_once", "fail_from"}) do
    it("is told to on_error() when memory has run out: " .. mode, helper.test(function(t)
      if not has_faultalloc then pending("needs the module faultalloc of the build") end
      local output, status = t:run_child(OUT_OF_MEMORY, {mode})
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end
end)
