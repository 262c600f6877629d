-- How waits end: of tasks whose loop is closed, that are cancelled in long chains, that wait for
-- futures of other loops, or whose coroutine other code resumes; and what is left of them.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test
local Future, sleep, gather, shield = zmqloop.Future, zmqloop.sleep, zmqloop.gather, zmqloop.shield
local pcall = zmqloop.pcall -- luacheck: ignore 431
local load_text = rawget(_G, "loadstring") or load

local function virtual(fn)
  return test(function(t) return fn(t, t.loop) end, {clock = "virtual"})
end

describe("a task whose loop is closed", function()
  after_each(helper.cleanup)

  it("gives back what it was woken with", test(function(t)
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend})
    local queue, semaphore, lock = zmqloop.Queue(), zmqloop.Semaphore(0), zmqloop.Lock()
    loop:spawn(function() queue:get() end)
    loop:spawn(function() semaphore:acquire() end)
    loop:spawn(function() lock:with(function() sleep(1000) end) end)
    loop:step(0)
    queue:put_nowait("item")
    semaphore:release()
    loop:close()
    assert.equal("item", queue:get_nowait())
    assert.is_false(semaphore:locked())
    assert.is_false(lock:locked())
  end))

  it("cleans up, but does not wait again", test(function(t)
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend})
    local seen = {}
    local task = loop:spawn(function()
      local _, err = pcall(sleep, 1000)
      seen[1] = err
      sleep(0)
      seen[2] = "went on"
    end)
    local never = loop:spawn(function()
      while true do pcall(sleep, 1000) end
    end)
    loop:step(0)
    local not_begun = loop:spawn(function() seen[3] = "began" end)
    loop:close()
    assert.same({zmqloop.CANCELLED}, seen)
    for _, each in ipairs{task, never, not_begun} do assert.is_true(each:cancelled()) end
  end))

  it("is counted by run(), which ends while it waits", test(function(_)
    local loop = zmqloop.IOLoop{impl = helper.backend}
    local event = zmqloop.Event()
    loop:spawn(function() event:wait() end)
    loop:spawn(function() sleep(0) end)
    assert.same({true, 1}, {loop:run()})
    event:set()
    assert.same({true, 0}, {loop:run()})
    loop:close()
  end))
end)

describe("cancelling", function()
  after_each(helper.cleanup)

  it("goes along a row of tasks that is longer than calls can be nested", virtual(function(_, loop)
    local first = Future(loop)
    local last = first
    for _ = 1, 20000 do
      local awaited = last
      last = loop:spawn(function() return awaited:await() end)
    end
    loop:advance(0)
    assert.is_true(last:cancel())
    assert.is_true(first:cancelled())
    loop:close() -- which ends them all; one after the other they would take an iteration each
    assert.is_true(last:cancelled())
  end))

  it("makes no trace, which nobody would see", test(function(t)
    local output = t:run_child(helper.program("traces_of_cancelled_tasks"))
    assert.equal("true\ttrue\t0\n1\n", output)
  end))

  it("ends tasks that wait for each other in a circle", virtual(function(_, loop)
    local a, b
    a = loop:spawn(function() return b:await() end)
    b = loop:spawn(function() return a:await() end)
    loop:advance(0)
    a:cancel()
    loop:advance(0)
    assert.is_true(a:cancelled() and b:cancelled())
  end))

  it("a gather() or with_timeout() waits for the clean-up", virtual(function(_, loop)
    local order = {}
    local function child()
      local _, err = pcall(sleep, 1000)
      sleep(1)
      order[#order + 1] = "child"
      error(err, 0)
    end
    local task = loop:spawn(function()
      local _, err = pcall(gather, {loop:spawn(child), loop:spawn(child)})
      order[#order + 1] = err
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(10)
    loop:spawn(function()
      local _, err = pcall(zmqloop.with_timeout, 1, loop:spawn(child))
      order[#order + 1] = err
    end)
    loop:advance(10)
    assert.same({"child", "child", zmqloop.CANCELLED, "child",
      "ETIMEDOUT: Operation timed out after 1 seconds"}, order)
  end))

  it("lets a variable <close> wait while it is closed", virtual(function(_, loop)
    local fails = load_text([[
      local sleep, closed = ...
      local variable <close> = setmetatable({}, {__close = function()
        sleep(1)
        closed[#closed + 1] = true
      end})
      sleep(1)
      error("oops", 0)
    ]])
    if not fails then pending("from 5.4 on") end
    local closed = {}
    local failed = loop:spawn(fails, sleep, closed)
    local cancelled = loop:spawn(fails, sleep, closed)
    loop:advance(0)
    cancelled:cancel()
    loop:advance(5)
    assert.equal("oops", failed:error())
    assert.is_true(cancelled:cancelled())
    assert.equal(2, #closed)
  end))
end)

describe("waiting for a future", function()
  after_each(helper.cleanup)

  it("of a loop that is closed or does not run is possible in each way", test(function(t)
    local other = t:keep(zmqloop.IOLoop{impl = helper.backend})
    local done, later = Future(other), Future(other)
    done:set_result(5)
    t.loop:call_later(0.001, function() later:set_result(6) end)
    local results = t.loop:run_sync(function()
      local next_done = zmqloop.as_completed({later})
      local found = {gather({done, later}), next_done():result(), shield(later):await()}
      other:close()
      found[4], found[5] = shield(done):await(), gather({done})[1]
      return found
    end, 10)
    assert.same({{5, 6}, 6, 6, 5, 5}, results)
  end))

  it("that is given up leaves nothing at it", virtual(function(_, loop)
    local future = Future(loop)
    local function give_up(n)
      for _ = 1, n do
        shield(future):cancel()
        loop:spawn(function() shield(future):await(0.1) end):add_done_callback(function(task)
          task:error()
        end)
        loop:spawn(function() zmqloop.as_completed({future}) end)
      end
      loop:advance(1)
      collectgarbage()
      collectgarbage()
      return future.callbacks and #future.callbacks or 0
    end
    give_up(100)
    assert.is_true(give_up(1000) < 60)
  end))

  it("by as_completed() is possible for several tasks at once", virtual(function(_, loop)
    local taken, workers = {}, {}
    loop:spawn(function()
      local list = {}
      for i = 1, 6 do
        list[i] = loop:spawn(function() sleep(i) return i end)
      end
      local next_done = zmqloop.as_completed(list)
      for w = 1, 3 do
        workers[w] = loop:spawn(function()
          local future = next_done()
          while future do
            taken[#taken + 1] = future:result()
            future = next_done()
          end
        end)
      end
    end)
    loop:advance(10)
    assert.same({1, 2, 3, 4, 5, 6}, taken)
    for w = 1, 3 do assert.is_true(workers[w]:done()) end
  end))
end)

describe("a stranger with the coroutine of a task that waits", function()
  after_each(helper.cleanup)

  it("who closes it takes nothing from the others", virtual(function(_, loop)
    if not coroutine.close then pending("from 5.4 on") end -- luacheck: std max+busted
    local queue, co = zmqloop.Queue(), nil
    local closed = loop:spawn(function()
      co = coroutine.running()
      queue:get()
    end)
    local waits = loop:spawn(function() return queue:get() end)
    loop:advance(0)
    coroutine.close(co) -- luacheck: std max
    queue:put_nowait("item")
    loop:advance(0)
    assert.equal("item", waits:result())
    assert.matches("closed", closed:error())
  end))

  it("who resumes it does not have it resumed twice", virtual(function(_, loop)
    local co
    local task = loop:spawn(function()
      co = coroutine.running()
      local ok = pcall(sleep, 1)
      return ok
    end)
    loop:advance(0)
    coroutine.resume(co, "behind its back")
    loop:advance(2)
    assert.is_true(task:done())
  end))
end)

describe("stream:recv()", function()
  after_each(helper.cleanup)

  it("keeps its messages from on_recv(), which raises, and from a pause", test(function(t)
    local receiver, sender = t:streams("PAIR", "PAIR")
    local got
    t.loop:spawn(function() got = receiver:recv()[1] end)
    t.loop:step(0)
    helper.raises("a task waits in recv()", receiver.on_recv, receiver, function() end)
    helper.raises("bad argument #1 to 'on_recv'", receiver.on_recv, receiver)
    receiver:on_recv(nil)
    receiver:stop_on_recv()
    receiver:pause()
    sender:send("message")
    for _ = 1, 5 do t.loop:step(0.001) end
    assert.is_nil(got)
    receiver:resume()
    t:run_until(function() return got end)
    assert.equal("message", got)
    receiver:on_recv(function() end)
  end))
end)

describe("current_task()", function()
  after_each(helper.cleanup)

  it("is the task that runs, or that a callback is when it waits", virtual(function(_, loop)
    local seen = {}
    local task
    task = loop:spawn(function() seen[1] = zmqloop.current_task() == task end)
    loop:add_callback(function()
      seen.waits = zmqloop.current_task()
      assert(seen.waits == zmqloop.current_task())
      sleep(1000)
      seen.went_on = true
    end)
    loop:add_callback(function() seen.other = zmqloop.current_task() end)
    loop:advance(1)
    assert.is_true(seen[1])
    assert.is_true(seen.other ~= seen.waits)
    assert.is_nil(zmqloop.current_task())
    seen.waits:cancel()
    loop:advance(1)
    assert.is_true(seen.waits:cancelled())
    assert.is_nil(seen.went_on)
  end))
end)

describe("xpcall()", function()
  after_each(helper.cleanup)

  it("can be waited across, and hands on where an error was raised", virtual(function(_, loop)
    local function raises(text)
      sleep(1)
      error(text)
    end
    local task = loop:spawn(function()
      local results = {zmqloop.xpcall(function(a, b) sleep(1) return a + b end, print, 1, 2)}
      local _, err, trace
      _, err = zmqloop.xpcall(raises, function(e, where)
        trace = where
        return "handled " .. e
      end, "oops")
      local _, text = zmqloop.xpcall(raises, debug.traceback, "oops")
      return results, err, trace, text
    end)
    loop:advance(10)
    local results, err, trace, text = task:result()
    assert.same({true, 3}, results)
    assert.matches("^handled .*tasks%-that%-end_spec.lua:%d+: oops$", err)
    for _, stack in ipairs{trace, text} do
      assert.matches("oops\nstack traceback:.*tasks%-that%-end_spec.lua", stack)
    end
    helper.raises("bad argument #2 to 'xpcall'", zmqloop.xpcall, print)
  end))
end)
