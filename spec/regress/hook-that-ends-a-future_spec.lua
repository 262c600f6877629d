-- A hook may run between any two instructions, and end the future that is being subscribed to.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

-- Runs fn(); calls act() before the k-th instruction of zmqloop.future, if it comes so far. Returns
-- whether it did.
local function with_act_at(k, act, fn)
  local left = k
  local function hook()
    if not debug.getinfo(2, "S").source:find("zmqloop/async/future.lua", 1, true) then return end
    left = left - 1
    if left == 0 then
      debug.sethook()
      act()
    end
  end
  debug.sethook(hook, "", 1)
  fn()
  debug.sethook()
  return left <= 0
end

describe("a future that a hook ends", function()
  local jit = rawget(_G, "jit")
  before_each(function()
    if jit then jit.off() end -- compiled code calls no hooks
  end)
  after_each(function()
    debug.sethook()
    if jit then jit.on() end
    helper.cleanup()
  end)

  local ends = {
    set_result = function(future) future:set_result(1) end,
    cancel = function(future) future:cancel() end,
  }

  for name, finish in pairs(ends) do
    it("calls its subscriber once, at whichever instruction that is: " .. name,
      helper.test(function(t)
        local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
        local k, reached = 0
        repeat
          k = k + 1
          local future, calls = zmqloop.Future(loop), 0
          local function count() calls = calls + 1 end
          reached = with_act_at(k, function() finish(future) end, function()
            future:add_done_callback(count)
          end)
          if not reached then finish(future) end
          loop:step(0)
          loop:step(0)
          assert.equal(1, calls, "instruction " .. k)
        until not reached
        assert.is_true(k > 10)
      end))
  end

  it("calls a subscriber that comes while it ends", helper.test(function(t)
    local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
    local k, reached = 0
    repeat
      k = k + 1
      local future, calls = zmqloop.Future(loop), 0
      local function count() calls = calls + 1 end
      reached = with_act_at(k, function() future:add_done_callback(count) end, function()
        future:set_result(1)
      end)
      loop:step(0)
      loop:step(0)
      assert.equal(reached and 1 or 0, calls, "instruction " .. k)
    until not reached
    assert.is_true(k > 10)
  end))
end)
