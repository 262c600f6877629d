-- When there was no memory for the coroutine of a call, the core had taken the callback and Lua had
-- not: from then on each callback was called when the next one was due, and the last one never. A
-- timer whose call failed in this way was lost, and a task sleeping on it never woke.
local helper = require("spec.helper")

describe("a call for which there is no memory", function()
  after_each(helper.cleanup)

  for _, mode in ipairs{"fail_from", "fail_once"} do
    it("comes when there is some (" .. mode .. ")", helper.test(function(t)
      if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
      local output, status = t:run_child([==[
        local arm, off = require("faultalloc")[...], require("faultalloc").off
        if rawget(_G, "jit") then jit.off() end
        local failures, called, fired = 0, 0, 0
        local function callback() called = called + 1 end
        local function timer() fired = fired + 1 end
        local function count() failures = failures + 1 end
        local function new()
          local loop = new_loop()
          loop:on_error(count)
          return loop
        end
        for round = 1, 2 do
          local n, came_through = 0, nil
          repeat
            n = n + 1
            failures, called, fired = 0, 0, 0
            local loop = new()
            if round == 2 then -- a loop that has a coroutine for calls already
              loop:add_callback(callback)
              loop:step(0)
              called = 0
            end
            for _ = 1, 3 do loop:add_callback(callback) end
            for _ = 1, 3 do loop:call_later(0, timer) end
            arm(n)
            local ok = pcall(loop.step, loop, 0)
            off()
            if not ok then failures = failures + 1 end -- no memory for on_error: step() raises
            came_through = ok and failures == 0 and called == 3 and fired == 3
            for _ = 1, 5 do pcall(loop.step, loop, 0) end
            assert(called + fired + failures >= 6, ("%d: %d called, %d fired, %d failed"):format(
              n, called, fired, failures))
            local before = called
            loop:add_callback(callback)
            loop:step(0)
            assert(called == before + 1, n .. ": a callback came late")
            loop:close()
          until came_through or n > 1000
          assert(came_through, n)
        end
        print("ok")
      ]==], {mode}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end
end)
