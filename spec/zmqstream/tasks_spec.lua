-- Streams in tasks: recv(), messages(), send_wait().
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test, fails = helper.test, helper.fails
local sleep, gather, pcall = zmqloop.sleep, zmqloop.gather, zmqloop.pcall

-- Lua 5.1 cannot suspend in an iterator.
local SUSPENDS_IN_FOR = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

-- Runs fn as a task, and the loop until it is done.
local function run(t, fn)
  local first, second, third = t.loop:run_sync(fn, 5)
  t:raise_errors()
  return first, second, third
end

-- A PUSH and a PULL of which libzmq keeps one message each at most.
local function narrow(t)
  local push, pull = t:stream("PUSH", {sndhwm = 1}), t:stream("PULL", {rcvhwm = 1})
  assert(push:connect(t:bind(pull)))
  return push, pull
end

-- Sends until libzmq takes no more; returns how many it has.
local function fill(push)
  local count = 0
  while push:queued() == 0 do
    push:send("filler")
    count = count + 1
  end
  return count
end

describe("stream:recv()", function()
  after_each(helper.cleanup)

  it("waits for a message and returns its frames", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local loop = t.loop
    assert.same({"a", "", "b"}, run(t, function()
      loop:call_later(0.005, function() push:send_multipart{"a", "", "b"} end)
      return pull:recv()
    end))
    assert.is_false(pull:receiving())
  end))

  it("serves tasks in their order, and takes no message that no task waits for", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local order = {}
    for i = 1, 3 do
      t.loop:spawn(function()
        local frames = pull:recv()
        order[#order + 1] = i .. frames[1]
      end)
    end
    t.loop:step(0)
    for _, letter in ipairs{"a", "b", "c", "d", "e"} do push:send(letter) end
    t:run_until(function() return #order == 3 end)
    t:settle()
    assert.same({"1a", "2b", "3c"}, order)
    assert.is_false(pull:receiving())
    assert.equal("d", run(t, function() return pull:recv() end)[1])
    assert.same({{"e"}}, {run(t, function() return pull:recv(0) end)})
  end))

  it("gives up after its time, and has lost nothing", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    run(t, function()
      local before = t.loop:time()
      assert.matches("after 0.01 seconds", fails("ETIMEDOUT", pull:recv(0.01)))
      assert.is_true(t.loop:time() - before >= 0.01)
      fails("ETIMEDOUT", pull:recv(0))
      push:send("x")
      assert.same({"x"}, pull:recv(5))
    end)
    local before = t.loop:time()
    t.loop:run()
    assert.is_true(t.loop:time() - before < 4) -- its timer is gone
  end))

  it("that is cancelled takes no message with it", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local first, second = t.loop:spawn(pull.recv, pull), t.loop:spawn(pull.recv, pull)
    t.loop:step(0)
    push:send("x")
    push:send("y")
    first:cancel()
    t:run_until(function() return second:done() end)
    assert.is_true(first:cancelled())
    assert.same({"x"}, second:result())
    local third = t.loop:spawn(pull.recv, pull)
    t.loop:add_callback(third.cancel, third) -- after it has begun to wait
    t:settle()
    assert.is_true(third:cancelled())
    assert.same({"y"}, run(t, function() return pull:recv() end))
  end))

  it("is woken with ENOTSOCK when the stream is closed", test(function(t)
    for _, close in ipairs{
      function(stream) stream:close() end,
      function(stream) stream.socket:close() end,
      function(stream) stream:drain(1) end,
    } do
      local pull = t:stream("PULL")
      local tasks = {t.loop:spawn(pull.recv, pull), t.loop:spawn(pull.recv, pull, 100)}
      t.loop:step(0)
      close(pull)
      t:run_until(function() return tasks[1]:done() and tasks[2]:done() end)
      fails("ENOTSOCK", tasks[1]:result())
      fails("ENOTSOCK", tasks[2]:result())
      assert.error_matches(function() pull:recv() end, "stream is closed")
    end
  end))

  it("tells ETERM when the context ends", test(function(t)
    local pull = t:stream("PULL")
    local task = t.loop:spawn(pull.recv, pull)
    t.loop:step(0)
    t.ctx:shutdown()
    t:run_until(function() return task:done() end)
    fails("ETERM", task:result())
  end))

  it("does not go together with on_recv(), but after it", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(print)
    run(t, function()
      helper.raises("recv: the stream has a callback", pull.recv, pull)
      pull:on_recv(nil)
      push:send("x")
      assert.same({"x"}, pull:recv())
    end)
    local got
    t.loop:spawn(function()
      pull:recv()
      pull:on_recv(function(frames) got = frames end)
    end)
    push:send("y")
    push:send("z")
    t:run_until(function() return got end)
    assert.same({"z"}, got)
    assert.is_true(pull:receiving())
  end))

  it("is misused outside of tasks, and with what is no number", test(function(t)
    local pull = t:stream("PULL")
    helper.raises("recv: only inside a task; start it with loop:spawn", pull.recv, pull)
    helper.raises("bad argument #1 to 'recv'", pull.recv, pull, "x")
    local other = t:keep(zmqloop.IOLoop(helper.loop_options()))
    local task = other:spawn(pull.recv, pull)
    other:step(0)
    assert.matches("recv: the stream is on another loop", task:error())
  end))

  it("keeps a waiting task, and no other", test(function(t)
    local weak = setmetatable({}, {__mode = "v"})
    local push, got = t:stream("PUSH"), nil
    helper.apart(function()
      local loop = zmqloop.IOLoop(helper.loop_options())
      local stream = zmqloop.ZMQStream(t.ctx:socket("PULL", {linger = 0}), loop)
      assert(push:connect(t:bind(stream)))
      loop:spawn(function(receiving)
        local mine = {}
        weak.mine = mine
        got = receiving:recv()
        receiving:recv() -- for ever
        return mine
      end, stream)
      stream = nil -- luacheck: ignore
      loop:step(0)
      collectgarbage()
      collectgarbage()
      push:send("x")
      for _ = 1, 50 do
        loop:step(0.005)
        collectgarbage()
      end
      assert.same({"x"}, got)
      assert.is_table(weak.mine)
      loop:close()
    end)
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(weak.mine)
  end))
end)

describe("stream:messages()", function()
  after_each(helper.cleanup)

  it("are those of a for loop until the stream is closed", test(function(t)
    if not SUSPENDS_IN_FOR then pending("5.1 cannot suspend in a for") end
    local pull, push = t:streams("PULL", "PUSH")
    local got = {}
    local task = t.loop:spawn(function()
      for frames in pull:messages() do
        got[#got + 1] = frames[1]
        if frames[1] == "close" then pull:close() end
      end
      return "ended"
    end)
    for _, text in ipairs{"a", "b", "close", "c"} do push:send(text) end
    t:run_until(function() return task:done() end)
    assert.same({"a", "b", "close"}, got)
    assert.equal("ended", task:result())
  end))

  it("end also when somebody else closes the stream", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local task = t.loop:spawn(function()
      local next_message, count = pull:messages(), 0
      while next_message() do count = count + 1 end
      return count
    end)
    push:send("x")
    t.loop:call_later(0.01, function() pull:close() end)
    t:run_until(function() return task:done() end)
    assert.equal(1, task:result())
  end))

  it("are told apart from what 5.1 cannot do", test(function(t)
    if SUSPENDS_IN_FOR then pending("this version of Lua can") end
    local pull = t:stream("PULL")
    local task = t.loop:spawn(function()
      for _ in pull:messages() do error("not reached") end
    end)
    t:settle()
    assert.matches("in Lua 5.1 nothing can wait in .* iterator of a `for`", task:error())
  end))
end)

describe("stream:send_wait()", function()
  after_each(helper.cleanup)

  it("returns when the socket has taken the message", test(function(t)
    local push, pull = narrow(t)
    run(t, function()
      assert.is_true(push:send_wait("a"))
      assert.is_true(push:send_wait{"b", "c"})
      local task = t.loop:spawn(push.send_wait, push, zmqloop.zmq.Frame("d"))
      sleep(0.002)
      assert.is_false(task:done())
      assert.same({"a"}, pull:recv())
      assert.same({"b", "c"}, pull:recv())
      assert.same({"d"}, pull:recv())
      assert.is_true(task:await())
    end)
    assert.equal(0, push:queued())
  end))

  it("keeps the order of those who wait", test(function(t)
    local push, pull = narrow(t)
    local order = {}
    run(t, function()
      local tasks = {}
      for i = 1, 20 do
        tasks[i] = t.loop:spawn(function()
          assert(push:send_wait(tostring(i)))
          order[#order + 1] = i
        end)
      end
      for i = 1, 20 do assert.same({tostring(i)}, pull:recv()) end
      gather(tasks)
    end)
    for i = 1, 20 do assert.equal(i, order[i]) end
  end))

  it("keeps the order where the socket takes all at once", test(function(t)
    local push = t:streams("PUSH", "PULL")
    local order = {}
    run(t, function()
      local tasks = {}
      for i = 1, 600 do -- more than succeed without a wait
        tasks[i] = t.loop:spawn(function()
          assert(push:send_wait("x"))
          order[#order + 1] = i
        end)
      end
      gather(tasks)
    end)
    for i = 1, 600 do assert.equal(i, order[i]) end
  end))

  it("waits for room in a queue that has a limit", test(function(t)
    local push, pull = narrow(t)
    push:set_send_hwm(2)
    local drained = 0
    push:on_drain(function() drained = drained + 1 end)
    run(t, function()
      local count = fill(push)
      push:send("last of the queue")
      fails("EAGAIN", push:send("refused"))
      local tasks = {}
      for i = 1, 5 do tasks[i] = t.loop:spawn(push.send_wait, push, tostring(i)) end
      fails("ETIMEDOUT", push:send_wait("late", 0.01))
      for _ = 1, count do assert.same({"filler"}, pull:recv()) end
      assert.same({"last of the queue"}, pull:recv())
      for i = 1, 5 do assert.same({tostring(i)}, pull:recv()) end
      gather(tasks)
    end)
    assert.is_true(drained > 0)
  end))

  it("that gives up, or is cancelled, sends nothing", test(function(t)
    local push, pull = narrow(t)
    run(t, function()
      local count = fill(push)
      fails("ETIMEDOUT", push:send_wait("late", 0.01))
      fails("ETIMEDOUT", push:send_wait("later", 0))
      local first = t.loop:spawn(push.send_wait, push, "cancelled")
      local second = t.loop:spawn(push.send_wait, push, {"the", "second"})
      sleep(0.002)
      first:cancel()
      for _ = 1, count do assert.same({"filler"}, pull:recv()) end
      assert.same({"the", "second"}, pull:recv())
      assert.is_true(second:await())
      assert.is_true(first:cancelled())
      fails("ETIMEDOUT", pull:recv(0.01))
    end)
    assert.equal(0, push:queued())
  end))

  it("tells what becomes of it when the stream is closed", test(function(t)
    local push = narrow(t)
    fill(push)
    push:set_send_hwm(2)
    local tasks = {}
    for i = 1, 3 do tasks[i] = t.loop:spawn(push.send_wait, push, "x") end
    t.loop:step(0)
    push:close()
    t:settle()
    for i = 1, 3 do fails("ENOTSOCK", tasks[i]:result()) end
  end))

  it("tells what libzmq refuses", test(function(t)
    local router = t:stream("ROUTER", {router_mandatory = true})
    run(t, function()
      fails("EHOSTUNREACH", router:send_wait{"nobody", "x"})
      helper.raises("bad argument #1 to 'send_wait'", router.send_wait, router, 42)
      helper.raises("bad argument #2 to 'send_wait'", router.send_wait, router, "x", "y")
      assert.is_false((pcall(router.send_wait, router, {"x", 42})))
      local pull = t:stream("PULL")
      fails("ENOTSUP", pull:send_wait("x"))
    end)
  end))

  it("lets go of the stream afterwards", test(function(t)
    local weak = setmetatable({}, {__mode = "v"})
    t.loop.spawn = nil -- the helper's keeps all tasks
    helper.apart(function()
      local push = zmqloop.ZMQStream(t.ctx:socket("PUSH", {linger = 0}), t.loop)
      weak.push = push
      fails("ETIMEDOUT", run(t, function() return push:send_wait("x", 0.002) end))
      fails("ETIMEDOUT", run(t, function() return push:recv(0.002) end))
    end)
    t:settle()
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(weak.push)
  end))
end)

describe("an echo of streams in tasks", function()
  after_each(helper.cleanup)

  it("loses and doubles nothing wherever its client is cancelled", test(function(t)
    local function scenario(point)
      local server, client = t:streams("ROUTER", "DEALER")
      local log, points, task = {}, 0, nil
      local function reach()
        points = points + 1
        if points == point then task:cancel() end
      end
      local serving = t.loop:spawn(function()
        local frames = server:recv()
        while frames do
          log[#log + 1] = "served " .. frames[2]
          server:send_wait(frames)
          frames = server:recv()
        end
      end)
      task = t.loop:spawn(function()
        for i = 1, 3 do
          reach()
          client:send_wait("request " .. i)
          reach()
          local frames = client:recv()
          log[#log + 1] = "got " .. frames[1]
        end
        reach()
      end)
      t:run_until(function() return task:done() end)
      t:settle()
      assert.is_true(task:cancelled() or points == 7)
      local left = {}
      run(t, function() -- what the cancelled one did not take is still there
        local frames = client:recv(0.005)
        while frames do
          left[#left + 1] = frames[1]
          frames = client:recv(0.005)
        end
      end)
      local served, got = 0, #left
      for _, line in ipairs(log) do
        served = served + (line:find("^served") and 1 or 0)
        got = got + (line:find("^got") and 1 or 0)
      end
      assert.equal(served, got)
      client:close()
      server:close()
      t:settle()
      assert.is_true(serving:done())
      return task:cancelled()
    end
    local point = 1
    while scenario(point) do point = point + 1 end
    assert.equal(7, point)
  end))
end)
