-- Tasks: coroutines that wait without blocking the loop.
local helper = require("spec.helper")
local fixture = require("spec.task.fixture")
local zmqloop = require("zmqloop")

local Future, sleep, gather = zmqloop.Future, zmqloop.sleep, zmqloop.gather

-- Lua 5.1 cannot suspend across its own pcall, nor in an iterator.
local SUSPENDS_ANYWHERE = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local pcall = zmqloop.pcall -- luacheck: ignore 431

local virtual, later = fixture.virtual, fixture.later
local failing, error_of = fixture.failing, fixture.error_of

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

  it("is a future of what its function returns", virtual(function(_, loop)
    local task = later(loop, 1, "a", nil)
    assert.is_false(task:done())
    loop:advance(1)
    assert.same(helper.pack("a", nil), helper.pack(task:result()))
  end))

  it("has the class zmqloop.Task, as a callback that waits", virtual(function(_, loop)
    local task, callback = later(loop, 1), nil
    loop:add_callback(function()
      callback = zmqloop.current_task()
      sleep(1)
    end)
    loop:advance(1)
    assert.equal(zmqloop.Task, getmetatable(task))
    assert.equal(zmqloop.Task, getmetatable(callback))
    assert.not_equal(zmqloop.Task, getmetatable(Future(loop)))
  end))

  it("has the methods of futures, and is created by spawn() only", virtual(function(_, loop)
    local task = later(loop, 1)
    for name in pairs(zmqloop.Future) do
      assert.is_not_nil(zmqloop.Task[name], name)
    end
    for _, name in ipairs{"cancel", "traceback", "done", "await"} do
      assert.equal(zmqloop.Task[name], task[name])
    end
    assert.is_false((pcall(zmqloop.Task)))
    loop:advance(1)
  end))

  it("sleeps without keeping others from running", virtual(function(_, loop)
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

  it("takes turns with others also where nothing has to be waited for",
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

  it("lets the loop run once by a plain yield", virtual(function(_, loop)
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

  it("fails when it yields what is nothing to wait for", virtual(function(_, loop)
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

  it("is not resumed by anybody else", virtual(function(_, loop)
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

  it("can catch an error where it waits, raise another, or go on",
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

  it("that fails while nobody looks is reported", virtual(function(t, loop)
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

  -- What on_error() gets of a task that nobody has kept.
  local function traceback_of(t, loop, fn)
    t:expect_errors()
    local seen
    loop:on_error(function(_, _, traceback) seen = traceback end)
    helper.apart(function()
      loop:spawn(fn)
      loop:advance(2)
    end)
    for _ = 1, 3 do
      collectgarbage()
      loop:step()
    end
    return seen
  end

  it("has the coroutine's own stack in its traceback", virtual(function(t, loop)
    local function the_failing_function()
      sleep(1)
      error("oops")
    end
    local seen = traceback_of(t, loop, function()
      the_failing_function()
    end)
    assert.matches("oops", seen)
    assert.matches("task_spec.lua:%d+: in ", seen)
    assert.matches("the_failing_function", seen)
  end))

  it("has nothing of an earlier error in that of a later one", virtual(function(t, loop)
    local function the_first_function() error("first") end
    local seen = traceback_of(t, loop, function()
      pcall(the_first_function)
      sleep(1)
      error("second")
    end)
    assert.matches("second", seen)
    assert.not_matches("first", seen)
  end))

  it("is kept while it waits, whoever else knows it", virtual(function(_, loop)
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

  it("keeps the future it returned from being collected early", virtual(function(_, loop)
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

  it("is collected with its locals when nothing can resume it",
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

  it("tells its state and where its function is", virtual(function(_, loop)
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

  it("may be done before it is waited for, at once or in any order",
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

  it("that fails, now or later, fails where it is waited for", virtual(function(_, loop)
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

  it("hands its outcome on, along a chain", virtual(function(_, loop)
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

  it("works with all kinds of others", virtual(function(_, loop)
    assert.same({42, 43, 1}, loop:run_sync(function()
      local future = Future(loop)
      loop:call_later(1, future.set_result, future, 43)
      sleep(0)
      return gather{later(loop, 1, 42), future, zmqloop.shield(later(loop, 0, 1))}
    end))
  end))
end)
