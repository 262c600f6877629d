-- A task that ends with its loop may close another one, whose tasks do so too. Each needs some of
-- the C stack, which overflowed somewhere inside the library.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test

-- So many loops, each with a task that closes the next one when it ends, and what close() raised.
local function new_chain(t, count)
  local loops, errors = {}, {}
  for i = 1, count do
    loops[i] = t:keep(zmqloop.IOLoop{impl = "poll"})
    loops[i]:spawn(function()
      zmqloop.pcall(zmqloop.sleep, 1000)
      local ok, err = pcall(loops[i + 1].close, loops[i + 1])
      if not ok then
        errors[#errors + 1] = err
      end
    end)
    loops[i]:step(0)
  end
  loops[count + 1] = t:keep(zmqloop.IOLoop{impl = "poll"})
  return loops, errors
end

describe("loops whose tasks close each other", function()
  after_each(helper.cleanup)

  it("are closed one inside of the other", test(function(t)
    local loops, errors = new_chain(t, 30)
    loops[1]:close()
    for _, loop in ipairs(loops) do
      assert.is_true(loop:closed())
    end
    assert.same({}, errors)
  end))

  it("are refused beyond a depth, and can be closed later", test(function(t)
    local loops, errors = new_chain(t, 60)
    loops[1]:close()
    assert.equal(1, #errors)
    assert.matches("loops%-that%-close%-each%-other_spec%.lua:%d+: "
      .. "too many loops are closed by each other's tasks", errors[1])
    assert.is_true(loops[1]:closed())
    assert.is_false(loops[60]:closed())
    for i = 60, 1, -1 do
      loops[i]:close()
      assert.is_true(loops[i]:closed())
    end
    assert.equal(1, #errors)
  end))
end)
