-- fileno() of 2^32 + 5 was taken for 5, and a number without a descriptor allocated memory for all
-- numbers below it.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local test = helper.test

describe("the number of a descriptor", function()
  after_each(helper.cleanup)

  it("is not cut off", test(function(t)
    for _, number in ipairs{2^32, 2^32 + 5, 2^31, 2^53} do
      local object = {fileno = function() return number end}
      helper.raises("out of range", t.loop.split_fd, t.loop, object)
      helper.raises("out of range", t.loop.add_handler, t.loop, object, print, "r")
    end
    for _, number in ipairs{-1, -2^32 + 5, 1.5, "x"} do
      local object = {fileno = function() return number end}
      helper.raises("no descriptor", t.loop.add_handler, t.loop, object, print, "r")
    end
  end))

  it("that is not open is refused and takes no memory", test(function(t)
    local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
    collectgarbage()
    local before = collectgarbage("count")
    for _, number in ipairs{500000000, 2^31 - 1} do
      helper.fails("EBADF", loop:add_handler(number, print, "r"))
    end
    assert.is_true(collectgarbage("count") - before < 100)
  end))
end)
