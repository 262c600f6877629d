-- Tasks: coroutines that wait without blocking the loop. Times are those of a
-- virtual clock.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test
local Future, sleep, gather = zmqloop.Future, zmqloop.sleep, zmqloop.gather
local with_timeout, CANCELLED = zmqloop.with_timeout, zmqloop.CANCELLED

-- Lua 5.1 cannot suspend across its own pcall, nor in an iterator.
local SUSPENDS_ANYWHERE = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local pcall = zmqloop.pcall -- luacheck: ignore 431

local function virtual(fn)
  return test(function(t) return fn(t, t.loop) end, {clock = "virtual"})
end

-- A task that returns its arguments after this many seconds.
local function later(loop, seconds, ...)
  return loop:spawn(function(...)
    sleep(seconds)
    return ...
  end, ...)
end

local function failing(loop, seconds, err)
  return loop:spawn(function()
    sleep(seconds)
    error(err, 0)
  end)
end

-- For 5.1: what fn raises in a task, without pcall inside it.
local function error_of(loop, fn)
  local task = loop:spawn(fn)
  loop:advance(1000)
  assert(task:done(), "the task is not done")
  return task:error()
end

describe("run_sync()", function()
  after_each(helper.cleanup)

  it("returns what a function returns, at once or after waiting [40, 42, 80, 96, 97]",
    virtual(function(_, loop)
      assert.equal(42, loop:run_sync(function() return 42 end))
      assert.same(helper.pack(1, nil, nil), helper.pack(loop:run_sync(function()
        sleep(1)
        return 1, nil, nil
      end)))
    end))

  it("returns nothing where that is what the function returns [101]", virtual(function(_, loop)
    assert.equal(0, select("#", loop:run_sync(function() end)))
    assert.equal(0, select("#", loop:run_sync(function() sleep(1) end)))
  end))

  it("returns what comes before that which is not reached [98]", virtual(function(_, loop)
    assert.equal(42, loop:run_sync(function()
      if loop:time() then return 42 end
      sleep(1)
      error("not reached")
    end))
  end))

  it("has done with its time when the function returns", virtual(function(_, loop)
    local before = loop:time()
    loop:run_sync(function() end, 100)
    loop:run()
    assert.equal(before, loop:time())
  end))

  it("wants a function and a number", virtual(function(_, loop)
    assert.error_matches(function() loop:run_sync(1) end, "bad argument #1 to 'run_sync'")
    assert.error_matches(function() loop:run_sync(print, "x") end, "bad argument #2 to 'run_sync'")
  end))

  it("raises what a function raises, before and after waiting [41, 43, 81, 82, 102, 103]",
    virtual(function(_, loop)
      for _, seconds in ipairs{0, 1} do
        local ok, err = pcall(loop.run_sync, loop, function()
          if seconds > 0 then sleep(seconds) end
          error("at " .. seconds, 0)
        end)
        assert.is_false(ok)
        assert.equal("at " .. seconds, err)
      end
    end))

  it("can be used again [85]", virtual(function(_, loop)
    for i = 1, 3 do
      assert.equal(i, loop:run_sync(function()
        sleep(1)
        return i
      end))
    end
  end))

  it("waits for tasks that wait for tasks [46]", virtual(function(_, loop)
    local function nested(depth)
      if depth == 0 then return "deep" end
      return loop:spawn(nested, depth - 1):await()
    end
    assert.equal("deep", loop:run_sync(function() return nested(5) end))
  end))

  it("has the loop as current [44]", virtual(function(_, loop)
    loop:run_sync(function()
      sleep(1)
      assert.equal(loop, zmqloop.IOLoop.current())
    end)
  end))

  it("cancels what takes too long [45, 100]", virtual(function(_, loop)
    local finished = false
    assert.error_matches(function()
      loop:run_sync(function()
        sleep(10)
        finished = true
      end, 1)
    end, "^ETIMEDOUT: Operation timed out after 1 seconds$")
    loop:advance(100)
    assert.is_false(finished)
    assert.equal(42, loop:run_sync(function()
      sleep(1)
      return 42
    end, 3600))
  end))

  it("wants a callable, and a number of seconds", virtual(function(_, loop)
    assert.error_matches(function() loop:run_sync(42) end, "bad argument #1 to 'run_sync'")
    for _, seconds in ipairs{"1", 0 / 0} do
      assert.error_matches(function() loop:run_sync(print, seconds) end,
        "bad argument #2 to 'run_sync'")
    end
  end))

  it("tells being stopped from a timeout, and later runs are not stopped [47]",
    virtual(function(_, loop)
      assert.error_matches(function()
        loop:run_sync(function()
          loop:stop()
          sleep(1)
        end, 10)
      end, "^EINTR: IOLoop stopped before the function completed$")
      assert.equal(1, loop:run_sync(function()
        sleep(20)
        return 1
      end))
    end))

  it("raises CANCELLED when its task is", virtual(function(_, loop)
    local ok, err = pcall(loop.run_sync, loop, function()
      local inner = Future(loop)
      loop:call_later(1, inner.cancel, inner)
      inner:await()
    end)
    assert.is_false(ok)
    assert.equal(CANCELLED, err)
  end))
end)

describe("a task", function()
  after_each(helper.cleanup)

  it("begins in the next iteration, in order, with its arguments", virtual(function(_, loop)
    local calls = {}
    for i = 1, 3 do
      loop:spawn(function(...) calls[#calls + 1] = {i, select("#", ...), ...} end, nil, i)
    end
    assert.same({}, calls)
    loop:step()
    assert.same({{1, 2, nil, 1}, {2, 2, nil, 2}, {3, 2, nil, 3}}, calls)
  end))

  it("is a future of what its function returns [93]", virtual(function(_, loop)
    local task = later(loop, 1, "a", nil)
    assert.is_false(task:done())
    loop:advance(1)
    assert.same(helper.pack("a", nil), helper.pack(task:result()))
  end))

  it("sleeps without keeping others from running [107]", virtual(function(_, loop)
    local order = {}
    for _, seconds in ipairs{3, 1, 2} do
      loop:spawn(function()
        sleep(seconds)
        order[#order + 1] = seconds
      end)
    end
    loop:advance(3)
    assert.same({1, 2, 3}, order)
  end))

  it("takes turns with others also where nothing has to be waited for [106]",
    virtual(function(_, loop)
      local letters = {}
      local ready = Future(loop)
      ready:set_result()
      for _, letter in ipairs{"a", "b"} do
        loop:spawn(function()
          for _ = 1, 5 do
            letters[#letters + 1] = letter
            ready:await()
          end
        end)
      end
      loop:advance(0)
      assert.equal("ababababab", table.concat(letters))
    end))

  it("lets the loop run once by a plain yield [86, 123]", virtual(function(_, loop)
    local order = {}
    local task = loop:spawn(function()
      order[1] = "before"
      coroutine.yield()
      order[#order + 1] = "after"
    end)
    loop:step()
    loop:add_callback(function() order[#order + 1] = "callback" end)
    loop:advance(0)
    assert.is_true(task:done())
    assert.same({"before", "after", "callback"}, order)
  end))

  it("fails when it yields what is nothing to wait for [83, 84]", virtual(function(_, loop)
    local err = error_of(loop, function() coroutine.yield(42) end)
    assert.matches("cannot yield a number", err)
  end))

  it("awaits only inside a task, and says what to do elsewhere", virtual(function(_, loop)
    local future = Future(loop)
    local want = "only inside a task; start it with loop:spawn"
    assert.error_matches(function() future:await() end, want)
    assert.error_matches(function() sleep(1) end, want)
    assert.error_matches(function() gather{future} end, want)
    assert.matches(want, error_of(loop, function()
      local ok, err = coroutine.resume(coroutine.create(function() sleep(1) end))
      error(ok or err, 0)
    end))
  end))

  it("says what to do in a coroutine of its own making", virtual(function(_, loop)
    local co
    local err = error_of(loop, function()
      co = coroutine.create(function() sleep(1) end)
      error(select(2, coroutine.resume(co)), 0)
    end)
    assert.matches("not as a coroutine inside of another task", err)
  end))

  it("says what to do where it cannot be suspended, and goes on", virtual(function(_, loop)
    local told, future = nil, Future(loop)
    local task = loop:spawn(function()
      local ok, err = pcall(function()
        table.sort({1, 2, 3}, function() future:await(1) end)
      end)
      told = not ok and err
      sleep(2)
      return future:await()
    end)
    loop:advance(1)
    future:set_result("x")
    loop:advance(1)
    assert.equal("x", task:result())
    assert.matches("await: cannot wait here, inside 'sort', which cannot be suspended", told)
  end))

  it("is suspended across pcall", virtual(function(_, loop)
    local function nested(depth)
      if depth == 0 then
        sleep(1)
        error({depth}, 0)
      end
      return pcall(nested, depth - 1)
    end
    local results = helper.pack(loop:run_sync(function()
      return pcall(function(...)
        sleep(1)
        coroutine.yield()
        return select("#", ...), nested(3)
      end, nil, nil)
    end))
    assert.same({true, 2, true, true, false, {0}, n = 6}, results)
    assert.same({true, 3}, {pcall(select, "#", 1, 2, 3)})
    assert.same({false, "x"}, {pcall(error, "x", 0)})
  end))

  it("is told in 5.1 what it cannot be suspended across", virtual(function(_, loop)
    if SUSPENDS_ANYWHERE then pending("this version of Lua has no such limits") end
    local function tell(fn)
      return (error_of(loop, fn):gsub("^%S+ ", ""))
    end
    local plain = rawget(_G, "pcall")
    assert.matches("inside pcall, which Lua 5.1 cannot suspend; use zmqloop.pcall", tell(function()
      error(select(2, plain(sleep, 1)), 0)
    end))
    local want = "in Lua 5.1 nothing can wait in a metamethod or in the iterator of a `for`"
    assert.matches(want, tell(function() for _ in sleep, 1 do end end), 1, true)
    assert.matches(want, tell(function()
      pcall(function() for _ in sleep, 1 do end end)
      for _ in sleep, 1 do end
    end), 1, true)
    local err = tell(function()
      error(select(3, plain(pcall, sleep, 1)), 0)
    end)
    assert.matches("use zmqloop.pcall", err)
    loop:advance(10)
  end))

  it("is not resumed by anybody else [128]", virtual(function(_, loop)
    local co
    local task = loop:spawn(function()
      co = coroutine.running()
      return sleep(1)
    end)
    loop:advance(0)
    local ok, err = coroutine.resume(co, "behind its back")
    assert.is_false(ok)
    assert.matches("resumed by its loop", err)
    loop:advance(1)
    assert.is_string(task:error())
  end))

  it("has the outcome of its function, and no other", virtual(function(_, loop)
    local task = later(loop, 1, 42)
    assert.error_matches(function() task:set_result(1) end, "what its function returns")
    assert.error_matches(function() task:set_error(1) end, "what its function raises")
    loop:advance(1)
    assert.equal(42, task:result())
  end))

  it("closes its variables when it fails", virtual(function(_, loop)
    local load_text = rawget(_G, "loadstring") or load
    local fails = load_text([[
      local closed, sleep = ...
      local variable <close> = setmetatable({}, {__close = function(_, err) closed[1] = err end})
      sleep(1)
      error("oops", 0)
    ]])
    if not fails then pending("from 5.4 on") end
    local closed = {}
    local task = loop:spawn(fails, closed, sleep)
    loop:advance(1)
    assert.equal("oops", task:error())
    assert.same({"oops"}, closed)
  end))

  it("fails also with an error that is nil, or cannot be told", virtual(function(_, loop)
    assert.matches(helper.nil_error or "nil value", error_of(loop, function() error(nil) end))
    local err = setmetatable({}, {__tostring = function() error("not even that") end})
    assert.equal(err, error_of(loop, function() error(err) end))
  end))

  it("cannot wait for itself", virtual(function(_, loop)
    local task
    task = loop:spawn(function() task:await() end)
    loop:advance(0)
    assert.matches("cannot wait for itself", task:error())
  end))

  it("can catch an error where it waits, raise another, or go on [104, 105, 132]",
    virtual(function(_, loop)
      local ok = failing(loop, 1, "first")
      assert.equal(42, loop:run_sync(function()
        assert(not pcall(ok.await, ok))
        sleep(1)
        return 42
      end))
      assert.equal("second", error_of(loop, function()
        local _, err = pcall(function() failing(loop, 1, "first"):await() end)
        error(err == "first" and "second", 0)
      end))
    end))

  it("that fails while nobody looks is reported [24]", virtual(function(t, loop)
    t:expect_errors()
    helper.apart(function()
      loop:spawn(function() error("at once", 0) end)
      loop:advance(0)
    end)
    for _ = 1, 3 do
      collectgarbage()
      loop:step()
    end
    assert.same({"at once"}, t.errors)
  end))

  it("has the coroutine's own stack in its traceback [25]", virtual(function(t, loop)
    t:expect_errors()
    local seen
    loop:on_error(function(_, _, traceback) seen = traceback end)
    local function the_failing_function()
      sleep(1)
      error("oops")
    end
    helper.apart(function()
      loop:spawn(function()
        the_failing_function()
      end)
      loop:advance(2)
    end)
    for _ = 1, 3 do
      collectgarbage()
      loop:step()
    end
    assert.matches("oops", seen)
    assert.matches("task_spec.lua:%d+: in ", seen)
    assert.matches("the_failing_function", seen)
  end))

  it("has nothing of an earlier error in that of a later one [108]", virtual(function(t, loop)
    t:expect_errors()
    local seen
    loop:on_error(function(_, _, traceback) seen = traceback end)
    local function the_first_function() error("first") end
    helper.apart(function()
      loop:spawn(function()
        pcall(the_first_function)
        sleep(1)
        error("second")
      end)
      loop:advance(2)
    end)
    for _ = 1, 3 do
      collectgarbage()
      loop:step()
    end
    assert.matches("second", seen)
    assert.not_matches("first", seen)
  end))

  it("is kept while it waits, whoever else knows it [120]", virtual(function(_, loop)
    local done = false
    helper.apart(function()
      loop:spawn(function()
        sleep(1)
        done = true
      end)
      loop:step()
    end)
    collectgarbage()
    collectgarbage()
    loop:advance(1)
    assert.is_true(done)
  end))

  it("keeps the future it returned from being collected early [119]", virtual(function(_, loop)
    local sum = loop:run_sync(function()
      local list = {}
      for i = 1, 3 do list[i] = later(loop, i, i) end
      collectgarbage()
      local results = gather(list)
      collectgarbage()
      return results[1] + results[2] + results[3]
    end)
    assert.equal(6, sum)
  end))

  it("is collected with its locals when nothing can resume it [109, 121, 122]",
    virtual(function(_, loop)
      local weak = setmetatable({}, {__mode = "v"})
      helper.apart(function()
        local future = Future(loop)
        local task = loop:spawn(function()
          local mine = {}
          weak.mine = mine
          future:await()
          return mine
        end)
        future.task = task -- a cycle
        weak.task = task
        loop:advance(0)
        collectgarbage()
        assert.is_table(weak.mine)
      end)
      loop:step()
      collectgarbage()
      collectgarbage()
      assert.is_nil(weak.mine)
      assert.is_nil(weak.task)
    end))

  it("keeps nothing of its function when it is done", virtual(function(_, loop)
    local weak = setmetatable({}, {__mode = "v"})
    helper.apart(function()
      local argument, result = {}, {}
      weak.argument, weak.result = argument, result
      loop.spawn = nil -- the helper's keeps all tasks
      zmqloop.IOLoop.spawn(loop, function(...) return result, ... end, argument)
      loop:advance(0)
    end)
    for _ = 1, 3 do collectgarbage() end
    assert.is_nil(weak.argument)
    assert.is_nil(weak.result)
  end))

  it("tells its state and where its function is [110]", virtual(function(_, loop)
    local task = loop:spawn(function() end)
    assert.matches("^Task %(pending%) of .*task_spec.lua:%d+$", tostring(task))
    loop:advance(0)
    assert.matches("^Task %(result%)", tostring(task))
  end))

  it("tells its state also when its function is an object that hides how it is called",
    virtual(function(_, loop)
      local function nothing() end
      local once = setmetatable({}, {__call = nothing})
      for _, metatable in ipairs{
        {__call = nothing}, {__call = nothing, __metatable = false},
        {__call = nothing, __metatable = "hidden"}, {__call = once},
      } do
        local made, task = pcall(loop.spawn, loop, setmetatable({}, metatable))
        if made then assert.matches("^Task %(pending%)", tostring(task)) end
      end
    end))

  it("fails with an error object whose __eq says that it equals anything", virtual(
    function(_, loop)
      for _, equals in ipairs{function() return true end, function() error("no") end} do
        local err = setmetatable({}, {__eq = equals})
        local task = loop:spawn(function() error(err) end)
        local waits = loop:spawn(function() return pcall(task.await, task) end)
        loop:advance(0)
        loop:advance(0)
        assert.is_true(rawequal(err, task:error()))
        assert.is_true(waits:done())
      end
    end))

  it("has to be a function", virtual(function(_, loop)
    assert.error_matches(function() loop:spawn(42) end, "bad argument #1 to 'spawn'")
  end))

  it("goes on after another one's coroutine was used again", virtual(function(_, loop)
    for round = 1, 3 do
      for i = 1, 20 do
        local task = loop:spawn(function(value)
          if value % 3 == 0 then coroutine.yield() end
          if value % 7 == 0 then error("seven", 0) end
          return value
        end, i)
        loop:advance(0)
        if i % 7 == 0 then
          assert.equal("seven", task:error())
        else
          assert.equal(i, task:result(), round)
        end
      end
    end
  end))
end)

describe("a callback-style operation", function()
  after_each(helper.cleanup)

  it("may be done before it is waited for, at once or in any order [125, 126, 130, 131]",
    virtual(function(_, loop)
      local function start(delay, ...)
        local future = Future(loop)
        if delay == 0 then
          future:set_result(...)
        else
          loop:call_later(delay, future.set_result, future, ...)
        end
        return future
      end
      local seen = loop:run_sync(function()
        local a, b, c = start(3, "a", nil), start(0, "b"), start(1)
        sleep(2)
        return {helper.pack(b:await()), helper.pack(c:await()), helper.pack(a:await())}
      end)
      assert.same({{"b", n = 1}, {n = 0}, {"a", nil, n = 2}}, seen)
    end))

  it("that fails, now or later, fails where it is waited for [127, 133]", virtual(function(_, loop)
    local function start(delay)
      local future = Future(loop)
      loop:call_later(delay, future.set_error, future, "failed")
      return future
    end
    assert.same({false, "failed"}, loop:run_sync(function()
      local future = start(0)
      sleep(1)
      return {pcall(future.await, future)}
    end))
    assert.same({false, "failed"}, loop:run_sync(function()
      local future = start(1)
      return {pcall(future.await, future)}
    end))
  end))

  it("hands its outcome on, along a chain [135, 136]", virtual(function(_, loop)
    local first = Future(loop)
    local last = zmqloop.shield(zmqloop.shield(zmqloop.shield(first)))
    first:set_result(42, nil)
    loop:advance(0)
    assert.same(helper.pack(42, nil), helper.pack(last:result()))
    local failed = Future(loop)
    last = zmqloop.shield(zmqloop.shield(failed))
    failed:set_error("bad")
    loop:advance(0)
    assert.equal("bad", last:error())
  end))

  it("works with all kinds of others [99]", virtual(function(_, loop)
    assert.same({42, 43, 1}, loop:run_sync(function()
      local future = Future(loop)
      loop:call_later(1, future.set_result, future, 43)
      sleep(0)
      return gather{later(loop, 1, 42), future, zmqloop.shield(later(loop, 0, 1))}
    end))
  end))
end)

describe("cancelling a task", function()
  after_each(helper.cleanup)

  it("is what happens to one that awaits what was cancelled", virtual(function(_, loop)
    local inner = Future(loop)
    local outer = loop:spawn(function() inner:await() end)
    loop:advance(0)
    inner:cancel()
    loop:advance(0)
    assert.is_true(outer:cancelled())
  end))

  it("is recognized when the error was caught and raised again", virtual(function(_, loop)
    local task = loop:spawn(function()
      local ok, err = pcall(sleep, 10)
      error(ok or err) -- with a position before it
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
  end))

  it("is another error when its text is only the end of one", virtual(function(_, loop)
    local cancelled = loop:spawn(function() end)
    cancelled:cancel()
    for _, text in ipairs{"order 17 failed: ", "a.lua:3: order: ", "line\na.lua:3: "} do
      local task = loop:spawn(function() error(text .. cancelled:error(), 0) end)
      loop:advance(0)
      assert.is_false(task:cancelled())
      assert.equal(text .. CANCELLED, task:error())
    end
    for _, text in ipairs{"", "a.lua:3: ", "a.lua:3: ./b.lua:15: ", '[string "a: b"]:1: '} do
      local task = loop:spawn(function() error(text .. cancelled:error(), 0) end)
      loop:advance(0)
      assert.is_true(task:cancelled())
    end
  end))

  it("leaves no timer of its wait behind", virtual(function(_, loop)
    local task = loop:spawn(function() Future(loop):await(100) end)
    loop:advance(1)
    task:cancel()
    local before = loop:time()
    loop:run()
    assert.is_true(task:cancelled())
    assert.equal(before, loop:time())
  end))

  it("raises CANCELLED where it sleeps, and takes the timer away", virtual(function(_, loop)
    local went_on = false
    local task = loop:spawn(function()
      sleep(10)
      went_on = true
    end)
    loop:advance(1)
    assert.is_true(task:cancel())
    loop:advance(0)
    assert.is_true(task:done())
    assert.is_true(task:cancelled())
    assert.is_false(task:cancel())
    loop:advance(100)
    assert.is_false(went_on)
    assert.equal(0, loop:stats().timers)
  end))

  it("before it began leaves it uncalled", virtual(function(_, loop)
    local called = false
    local task = loop:spawn(function() called = true end)
    assert.is_true(task:cancel())
    assert.is_true(task:cancelled())
    loop:advance(0)
    assert.is_false(called)
  end))

  it("can be caught, and cleaned up after", virtual(function(_, loop)
    local cleaned = false
    local task = loop:spawn(function()
      local ok, err = pcall(sleep, 10)
      assert(not ok and err == CANCELLED)
      sleep(1) -- cleaning up may take time
      cleaned = true
      error(err, 0)
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(1)
    assert.is_true(cleaned)
    assert.is_true(task:cancelled())
  end))

  it("that catches it and returns is a result", virtual(function(_, loop)
    local task = loop:spawn(function()
      pcall(sleep, 10)
      return "went on"
    end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.equal("went on", task:result())
    assert.is_false(task:cancelled())
  end))

  it("cancels what it awaits, but not what is shielded", virtual(function(_, loop)
    local inner, shielded = later(loop, 10, 1), later(loop, 10, 2)
    local first = loop:spawn(function() inner:await() end)
    local second = loop:spawn(function() zmqloop.shield(shielded):await() end)
    loop:advance(1)
    first:cancel()
    second:cancel()
    loop:advance(0)
    assert.is_true(first:cancelled())
    assert.is_true(second:cancelled())
    assert.is_true(inner:cancelled())
    assert.is_false(shielded:done())
    loop:advance(10)
    assert.equal(2, shielded:result())
  end))

  it("by itself is raised where it waits next", virtual(function(_, loop)
    local reached, task = false, nil
    task = loop:spawn(function()
      task:cancel()
      reached = true
      sleep(1)
      error("not reached")
    end)
    loop:advance(0)
    assert.is_true(reached)
    assert.is_true(task:cancelled())
  end))

  it("in the iteration in which its future is done loses no result", virtual(function(_, loop)
    local future = Future(loop)
    local task = loop:spawn(function() return future:await() end)
    loop:advance(0)
    future:set_result("kept")
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
    assert.equal("kept", future:result())
  end))

  it("at every point of a scenario leaves nothing behind", virtual(function(_, loop)
    local function scenario(steps)
      local function at(name) steps[#steps + 1] = name end
      at("begin")
      sleep(1)
      at("slept")
      local a = later(loop, 1, "a"):await()
      at(a)
      local results = gather{later(loop, 1, "b"), later(loop, 2, "c")}
      at(results[1] .. results[2])
      with_timeout(5, later(loop, 1))
      at("end")
    end
    local complete = 0
    for delay = 0, 12 do
      local steps = {}
      local task = loop:spawn(scenario, steps)
      loop:advance(delay / 2)
      local cancelled = task:cancel()
      loop:advance(0)
      assert.is_true(task:done())
      assert.equal(cancelled, task:cancelled())
      if not cancelled then complete = complete + 1 end
      local before = loop:stats().timers
      loop:advance(100)
      assert.equal(before, loop:stats().timers, "timers left after " .. #steps)
    end
    assert.is_true(complete > 0 and complete < 13)
  end))
end)

describe("await()", function()
  after_each(helper.cleanup)

  it("raises after its time, and the future goes on", virtual(function(_, loop)
    local slow = later(loop, 10, "late")
    assert.matches("^ETIMEDOUT: ", error_of(loop, function() slow:await(1) end))
    assert.equal("late", slow:result())
  end))

  it("has done with its timer when the future is done", virtual(function(_, loop)
    assert.equal("quick", loop:run_sync(function()
      return zmqloop.await(later(loop, 1, "quick"), 100)
    end))
    loop:advance(200)
    assert.equal(1, loop:stats().timers)
  end))

  it("serves several waiters in order", virtual(function(_, loop)
    local future, order = Future(loop), {}
    for i = 1, 3 do
      loop:spawn(function() order[i] = future:await() .. #order end)
    end
    loop:advance(0)
    future:set_result("x")
    loop:advance(0)
    assert.same({"x0", "x1", "x2"}, order)
  end))

  it("that gives up, hundreds of times, leaves the others in order", virtual(function(_, loop)
    local future, order, given_up = Future(loop), {}, 0
    for i = 1, 200 do
      loop:spawn(function()
        if i % 10 == 0 then
          local zero = future:await()
          order[#order + 1] = i + zero
        elseif not pcall(future.await, future, 1 + i % 3) then
          given_up = given_up + 1
        end
      end)
    end
    loop:advance(10)
    assert.equal(180, given_up)
    assert.is_true(#future.callbacks <= 6 * 20)
    future:set_result(0)
    loop:advance(0)
    local expected = {}
    for i = 1, 20 do expected[i] = 10 * i end
    assert.same(expected, order)
  end))

  it("wants a future, and a number of seconds", virtual(function(_, loop)
    local function says(text, fn)
      assert.matches(text, error_of(loop, fn))
    end
    says("bad argument #1 to 'await'", function() zmqloop.await(1) end)
    says("bad argument #2 to 'await'", function() zmqloop.await(Future(loop), "1") end)
    says("bad argument #1 to 'await'", function() Future(loop):await(0 / 0) end)
    says("bad argument #1 to 'sleep'", function() sleep() end)
    says("bad argument #1 to 'with_timeout'", function() with_timeout(nil, Future(loop)) end)
    says("bad argument #2 to 'with_timeout'", function() with_timeout(1) end)
  end))
end)

describe("with_timeout()", function()
  after_each(helper.cleanup)

  it("returns results that come in time [112]", virtual(function(_, loop)
    assert.equal("x", loop:run_sync(function() return with_timeout(5, later(loop, 1, "x")) end))
    assert.equal("bad", error_of(loop, function() with_timeout(5, failing(loop, 1, "bad")) end))
  end))

  it("returns results that are there already, however short the time [113]",
    virtual(function(_, loop)
      local done = Future(loop)
      done:set_result("y")
      assert.equal("y", loop:run_sync(function() return with_timeout(0, done) end))
    end))

  it("raises after its time and cancels the future [111]", virtual(function(_, loop)
    local slow = later(loop, 10)
    assert.matches("^ETIMEDOUT: Operation timed out after 1 seconds", error_of(loop, function()
      with_timeout(1, slow)
    end))
    assert.is_true(slow:cancelled())
  end))

  it("leaves what is shielded alone", virtual(function(_, loop)
    local slow = later(loop, 10, "kept")
    assert.matches("^ETIMEDOUT", error_of(loop, function()
      with_timeout(1, zmqloop.shield(slow))
    end))
    assert.equal("kept", slow:result())
  end))
end)

describe("gather()", function()
  after_each(helper.cleanup)

  it("returns results in the order of the list, whichever was first [87, 89, 94]",
    virtual(function(_, loop)
      assert.same({3, 1, 2, 3}, loop:run_sync(function()
        local slow = later(loop, 3, 3)
        return gather{slow, later(loop, 1, 1), later(loop, 2, 2), slow}
      end))
    end))

  it("returns results by the keys of a map [88, 90]", virtual(function(_, loop)
    assert.same({foo = 2, bar = 3}, loop:run_sync(function()
      return gather{foo = later(loop, 2, 2), bar = later(loop, 1, 3)}
    end))
  end))

  it("of a table with holes leaves nothing out", virtual(function(_, loop)
    for holes = 1, 5 do
      local map = {later(loop, 1, 1), [1.5] = later(loop, 1, 1.5)}
      for i = 1, holes do
        map["key" .. i] = later(loop, 1, i)
        map[i + 2] = later(loop, 1, i + 2)
      end
      local results = loop:run_sync(function() return gather(map) end)
      for key in pairs(map) do
        assert.equal(type(key) == "string" and tonumber(key:match("%d")) or key, results[key])
      end
    end
  end))

  it("of nothing is nothing [92]", virtual(function(_, loop)
    assert.same({}, loop:run_sync(function() return gather{} end))
  end))

  it("of thousands is no more work for each [91]", virtual(function(_, loop)
    local results = loop:run_sync(function()
      local list = {}
      for i = 1, 2000 do list[i] = later(loop, 1, i) end
      return gather(list)
    end)
    assert.equal(2000, #results)
    assert.equal(2000, results[2000])
  end))

  it("waits for all and raises the first error in order; the others are reported [95]",
    virtual(function(t, loop)
      t:expect_errors()
      local finished = false
      helper.apart(function()
        local list = {later(loop, 3, 1), failing(loop, 2, "first"), failing(loop, 1, "second")}
        list[1]:add_done_callback(function() finished = true end)
        assert.equal("first", error_of(loop, function() gather(list) end))
      end)
      assert.is_true(finished)
      for _ = 1, 3 do
        collectgarbage()
        loop:step()
      end
      assert.same({"second"}, t.errors)
    end))

  it("cancels all when its task is cancelled", virtual(function(_, loop)
    local list = {later(loop, 3), later(loop, 5)}
    local task = loop:spawn(function() gather(list) end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
    assert.is_true(list[1]:cancelled() and list[2]:cancelled())
  end))

  it("wants futures", virtual(function(_, loop)
    assert.matches("bad argument #1 to 'gather'", error_of(loop, function() gather{1} end))
    assert.matches("bad argument #1 to 'gather'", error_of(loop, function() gather(1) end))
  end))
end)

describe("as_completed()", function()
  after_each(helper.cleanup)

  -- A `for` that 5.1 can suspend in as well.
  local function each(futures, fn)
    local next_done = zmqloop.as_completed(futures)
    local future, key = next_done()
    while future do
      fn(future, key)
      future, key = next_done()
    end
  end

  it("hands futures out as they are done, failed ones too [115, 117]", virtual(function(_, loop)
    local seen = loop:run_sync(function()
      local order = {}
      each({}, error)
      each({later(loop, 3, "c"), failing(loop, 2, "b"), later(loop, 1, "a")}, function(future, key)
        order[#order + 1] = key .. (future:error() or future:result())
      end)
      return order
    end)
    assert.same({"3a", "2b", "1c"}, seen)
  end))

  it("hands out those that are done already in order, and tells keys [116]",
    virtual(function(_, loop)
      local list = {}
      for i = 1, 3 do
        list[i] = Future(loop)
        list[i]:set_result(i)
      end
      local seen = loop:run_sync(function()
        local order = {}
        each(list, function(future) order[#order + 1] = future:result() end)
        each({name = list[2]}, function(_, key) order[#order + 1] = key end)
        return order
      end)
      assert.same({1, 2, 3, "name"}, seen)
    end))

  it("is the iterator of a for loop [118]", virtual(function(_, loop)
    if not SUSPENDS_ANYWHERE then pending("5.1 cannot suspend in an iterator") end
    local sum = loop:run_sync(function()
      local total = 0
      for future in zmqloop.as_completed{later(loop, 2, 2), later(loop, 1, 1)} do
        total = total * 10 + future:result()
      end
      return total
    end)
    assert.equal(12, sum)
  end))
end)
