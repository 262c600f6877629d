-- A callback that waits becomes a task, which wants memory after it has joined the line. Without it
-- the callback failed, but stayed in line: what woke it tried to resume the coroutine of whatever
-- callback was running then, in each iteration, for ever.
local helper = require("spec.helper")

local operations = {
  lock = [[
    local lock = z.Lock()
    lock:acquire(0)
    return function() return lock:acquire() end, function() lock:release() end, function(held)
      assert(lock:locked() == held, tostring(lock))
    end
  ]],
  queue = [[
    local queue = z.Queue()
    return function() return queue:get() end, function() queue:put_nowait(1) end, function()
      assert(queue:qsize() <= 1)
      if queue:qsize() == 1 then assert(queue:get_nowait()) end
    end
  ]],
  future = [[
    local future = z.Future(loop)
    return function() return future:await() end, function() future:set_result(1) end, function() end
  ]],
  sleep = [[
    return function() z.sleep(0.001) return true end, function() end, function() end
  ]],
  stream = [[
    local context = z.zmq.Context()
    local pull, push = context:socket("PAIR"), context:socket("PAIR")
    assert(pull:bind("inproc://x"))
    assert(push:connect("inproc://x"))
    local stream = z.ZMQStream(pull, loop)
    local got = false
    return function() got = got or stream:recv() ~= nil return got end, function()
      assert(push:send("x"))
    end, function()
      stream:on_recv(function() got = true end)
      for _ = 1, 3 do loop:step(0) end
      assert(got, "a message is lost")
      stream:close(0)
      push:close(0)
      context:term()
    end
  ]],
}

local PROGRAM = helper.program("callback_waits_without_memory")

describe("a callback that has no memory to wait", function()
  after_each(helper.cleanup)

  for name, source in pairs(operations) do
    it("is not in line any more: " .. name, helper.test(function(t)
      if not pcall(require, "faultalloc") then pending("needs the module faultalloc") end
      local program = rawget(_G, "_VERSION") == "Lua 5.1" and not rawget(_G, "jit")
        and PROGRAM:gsub("pcall%(wait%)", "z.pcall(wait)") or PROGRAM
      local output, status = t:run_child(program, {source}, 60)
      assert.equal("ok\n", output)
      assert.equal(0, status)
    end))
  end
end)
