-- In Lua 5.1 and LuaJIT nothing kept a handler alive during its call: one that was removed in its
-- call, and collected, was read when the call waited.
local helper = require("spec.helper")

describe("a handler that removes itself and then waits", function()
  after_each(helper.cleanup)

  it("is there until its call waits", helper.test(function(t)
    local output, status = t:run_child([[
      local zmqloop = require("zmqloop")
      local loop = new_loop()
      for i = 1, 20 do
        local context = zmqloop.zmq.Context()
        local socket = context:socket("PUB")
        local ended = false
        loop:add_handler(socket, function()
          -- Where the stack may still have the handler.
          local _, _, _, _, _, _, _, _, _, _ = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
          loop:remove_handler(socket)
        for _ = 1, 3 do collectgarbage() end
          local kept = {}
          for k = 1, 3000 do kept[k] = ("\255"):rep(k % 300) .. i .. k end -- where the handler was
          zmqloop.sleep(0)
          ended = #kept == 3000
        end, "w")
        for _ = 1, 100 do
          if ended then break end
          loop:step(0.01)
        end
        assert(ended)
        context:destroy(0)
      end
      print("ok")
    ]], {}, 60)
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))
end)
