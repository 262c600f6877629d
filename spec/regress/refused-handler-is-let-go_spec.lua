-- An object that add_handler() refused stayed a key of the loop's table of
-- handlers, and so was never collected.
local helper = require("spec.helper")
local test = helper.test

describe("an object that add_handler refuses", function()
  after_each(helper.cleanup)

  it("is collected", test(function(t)
    local socket = t:socket("PAIR")
    local number = socket:get("fd")
    t.loop:add_handler(number, print, "r")
    local weak = setmetatable({}, {__mode = "k"})
    do
      local object = {fileno = function() return number end}
      weak[object] = true
      assert.has_error(function() t.loop:add_handler(object, print, "r") end)
    end
    collectgarbage()
    collectgarbage()
    assert.is_nil(next(weak))
    t.loop:remove_handler(number)
  end))
end)
