-- A file was closed without remove_handler() and its number reused: removing the first handler
-- removed the number of the second one from the loop's table, so that it could no longer be updated
-- or removed by its number.
local helper = require("spec.helper")
local IOLoop = require("zmqloop").IOLoop
local test = helper.test

-- The numbers that are registered: another try with them raises.
local function registered(loop)
  local numbers = {}
  for number = 3, 200 do
    local returned, ok = pcall(loop.add_handler, loop, number, print, 0)
    numbers[number] = not returned
    if returned and ok then loop:remove_handler(number) end
  end
  return numbers
end

describe("a handler whose number is another's by now", function()
  after_each(helper.cleanup)

  it("leaves the other one registered when it is removed", test(function(t)
    local loop = t:keep(IOLoop{impl = "epoll"}) -- it forgets closed descriptors
    local path = t:tmpname()
    assert(os.execute("mkfifo " .. path))
    local before = registered(loop)
    local old = assert(io.open(path, "r+"))
    loop:add_handler(old, print, "r")
    old:close()
    local new = t:keep(assert(io.open(path, "r+")))
    os.remove(path)
    assert.is_true(loop:add_handler(new, print, "r"))
    local number
    for i, taken in pairs(registered(loop)) do
      if taken and not before[i] then number = i end
    end
    loop:remove_handler(old)
    assert.is_true(loop:update_handler(number, "rw"))
  end))
end)
