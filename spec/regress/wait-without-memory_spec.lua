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

local PROGRAM = [==[
  local z = require("zmqloop")
  local faultalloc = require("faultalloc")
  if rawget(_G, "jit") then jit.off() end
  z.preload()
  local new_operation = (loadstring or load)("local z, loop = ... " .. (...))
  local n, complete = 0, nil
  repeat
    n = n + 1
    local loop = new_loop()
    loop:on_error(function() end)
    local wait, wake, check = new_operation(z, loop)
    local other = 0
    complete = false
    loop:add_callback(function()
      faultalloc.fail_once(n)
      local ok, result = pcall(wait)
      faultalloc.off()
      complete = ok and result or false
      if not ok then error(result, 0) end
    end)
    for _ = 1, 2 do pcall(loop.step, loop, 0) end
    faultalloc.off()
    wake()
    for _ = 1, 3 do loop:add_callback(function() other = other + 1 end) end
    local iterations = 0
    repeat
      iterations = iterations + 1
      local ok, _, more = pcall(loop.step, loop, 0.01)
      assert(iterations < 50, n .. ": the loop never comes to rest")
    until ok and not more and loop:timeout() == nil
    assert(other == 3, n .. ": other callbacks are lost")
    check(complete)
    loop:close(true)
  until complete or n > 500
  assert(complete, "it never came through")
  print("ok")
]==]

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
