-- Event, Condition, Semaphore and Lock. Times are those of a virtual clock.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local Event, Condition, Semaphore = zmqloop.Event, zmqloop.Condition, zmqloop.Semaphore
local BoundedSemaphore, Lock = zmqloop.BoundedSemaphore, zmqloop.Lock
local sleep = zmqloop.sleep

local function virtual(fn)
  return helper.async(fn, {clock = "virtual"})
end

-- Spawns tasks that each wait by wait(i), write what they got into the list they return, and have
-- begun to wait when this returns.
local function waiting(count, wait)
  local got, tasks = {}, {}
  for i = 1, count do
    tasks[i] = zmqloop.spawn(function()
      local result = {i, wait(i)}
      got[#got + 1] = result
    end)
  end
  sleep(0)
  return got, tasks
end

-- The numbers of those who got what they waited for, in order.
local function winners(got)
  local numbers = {}
  for _, result in ipairs(got) do
    if result[2] then numbers[#numbers + 1] = result[1] end
  end
  return numbers
end

local function assert_timed_out(result, message, name)
  assert.falsy(result)
  assert.matches("^ETIMEDOUT: ", message)
  assert.equal("ETIMEDOUT", name)
end

describe("what tasks wait with", function()
  it("is found in the facade, beside Future, and in modules of its own", function()
    local future = require("zmqloop.future")
    for module, names in pairs{
      locks = {"Event", "Condition", "Semaphore", "BoundedSemaphore", "Lock"},
      queues = {"Queue", "PriorityQueue", "LifoQueue"},
      task = {"sleep", "gather", "as_completed", "with_timeout", "shield"},
    } do
      for _, name in ipairs(names) do
        local value = require("zmqloop." .. module)[name]
        assert.is_truthy(value)
        assert.equal(value, zmqloop[name])
        assert.equal(value, future[name])
      end
    end
    assert.is_nil(future.no_such_name)
  end)
end)

describe("a condition", function()
  it("wakes the one that waits, in the next iteration", virtual(function()
    local condition = Condition()
    local got = waiting(1, function() return condition:wait() end)
    condition:notify()
    assert.same({}, got)
    sleep(0)
    assert.same({{1, true}}, got)
  end))

  it("wakes one for each notify(), first in, first out", virtual(function()
    local condition = Condition()
    local got = waiting(2, function() return condition:wait() end)
    condition:notify()
    sleep(0)
    assert.same({1}, winners(got))
    condition:notify()
    sleep(0)
    assert.same({1, 2}, winners(got))
    condition:notify() -- no task waits: it is dropped
    assert_timed_out(condition:wait(0))
  end))

  it("wakes as many as it is told, in order", virtual(function()
    local condition = Condition()
    local got = waiting(6, function() return condition:wait() end)
    for _, step in ipairs{{3, {1, 2, 3}}, {1, {1, 2, 3, 4}}, {9, {1, 2, 3, 4, 5, 6}}} do
      condition:notify(step[1])
      sleep(0)
      assert.same(step[2], winners(got))
    end
  end))

  it("wakes all, and nobody who comes later", virtual(function()
    local condition = Condition()
    local got = waiting(4, function() return condition:wait(1) end)
    condition:notify_all()
    local late = waiting(1, function() return condition:wait(1) end)
    assert.same({1, 2, 3, 4}, winners(got))
    sleep(2)
    assert.same({}, winners(late))
  end))

  it("gives up after its time, with false", virtual(function(t)
    local condition, start = Condition(), t.loop:time()
    local result, message, name = condition:wait(2)
    assert.is_false(result)
    assert_timed_out(result, message, name)
    assert.equal(2, t.loop:time() - start)
  end))

  it("that wakes in time has done with the timeout", virtual(function()
    local condition = Condition()
    local got = waiting(1, function() return condition:wait(2) end)
    sleep(1)
    condition:notify()
    sleep(5)
    assert.same({{1, true}}, got)
  end))

  it("does not count those whose time is over", virtual(function()
    local condition = Condition()
    local got = waiting(4, function(i) return condition:wait(i == 2 and 1 or nil) end)
    sleep(2)
    condition:notify(2)
    sleep(0)
    assert.same({1, 3}, winners(got))
    condition:notify_all()
    sleep(0)
    assert.same({1, 3, 4}, winners(got))
  end))

  it("loses no notification of those who notify when they wake", virtual(function()
    local condition = Condition()
    local got = waiting(3, function(i)
      local woken = condition:wait(10)
      if i < 3 then condition:notify() end
      return woken
    end)
    condition:notify()
    sleep(1)
    assert.same({1, 2, 3}, winners(got))
  end))

  it("keeps nothing of those whose time is over, or that are cancelled", virtual(function()
    local condition = Condition()
    waiting(101, function(i) return condition:wait(i <= 50 and 1 or nil) end)
    local _, tasks = waiting(50, function() return condition:wait() end)
    for _, task in ipairs(tasks) do task:cancel() end
    assert.equal("Condition (101 waiting)", tostring(condition))
    sleep(2)
    assert.equal("Condition (51 waiting)", tostring(condition))
    condition:notify_all()
    assert.equal("Condition (0 waiting)", tostring(condition))
    sleep(0)
  end))

  it("passes on the notification of one that is cancelled before it runs", virtual(function()
    local condition = Condition()
    local got, tasks = waiting(3, function() return condition:wait() end)
    condition:notify()
    tasks[1]:cancel()
    sleep(0)
    sleep(0)
    assert.is_true(tasks[1]:cancelled())
    assert.same({2}, winners(got))
    condition:notify_all()
    sleep(0)
    assert.same({2, 3}, winners(got))
  end))

  it("wants a number of tasks and of seconds", virtual(function()
    helper.raises("bad argument #1 to 'notify'", function() Condition():notify("all") end)
    helper.raises("bad argument #1 to 'wait'", function() Condition():wait("long") end)
    helper.raises("bad argument #1 to 'wait'", function() Condition():wait(0 / 0) end)
  end))
end)

describe("an event", function()
  it("is waited for until it is set, and again when it was cleared", virtual(function()
    local event = Event()
    assert.is_false(event:is_set())
    local got = waiting(2, function() return event:wait() end)
    event:set()
    assert.is_true(event:is_set())
    assert.same({}, got)
    sleep(0)
    assert.same({1, 2}, winners(got))
    assert.is_true(event:wait())
    event:clear()
    assert_timed_out(event:wait(1))
  end))

  it("may be set again and again", virtual(function()
    local event = Event()
    event:set()
    event:set()
    assert.is_true(event:wait(0))
    event:clear()
    event:clear()
    assert.is_false(event:is_set())
  end))

  it("wakes those that came before it was cleared, and before it was set",
    virtual(function()
      local event = Event()
      local before = waiting(1, function() return event:wait() end)
      event:clear()
      local after = waiting(1, function() return event:wait() end)
      event:set()
      event:clear()
      sleep(0)
      assert.same({1}, winners(before))
      assert.same({1}, winners(after))
    end))

  it("gives up after its time", virtual(function(t)
    local event, start = Event(), t.loop:time()
    assert_timed_out(event:wait(0))
    assert_timed_out(event:wait(-1))
    assert.equal(0, t.loop:time() - start)
    assert_timed_out(event:wait(3))
    assert.equal(3, t.loop:time() - start)
  end))

  it("tells its state", function()
    assert.equal("Event (clear, 0 waiting)", tostring(Event.new()))
  end)
end)

describe("a semaphore", function()
  it("has a value that is an integer not below 0", function()
    for _, value in ipairs{-1, 1.5, "two", 0 / 0} do
      helper.raises("bad argument #1 to 'Semaphore'", Semaphore, value)
      helper.raises("bad argument #1 to 'BoundedSemaphore'", BoundedSemaphore, value)
    end
  end)

  it("can be had as often as it says, then in the order of asking", virtual(function()
    local semaphore = Semaphore(2)
    assert.is_true(semaphore:acquire())
    assert.is_true(semaphore:acquire())
    assert.is_true(semaphore:locked())
    local got = waiting(3, function() return semaphore:acquire() end)
    assert.same({}, got)
    semaphore:release()
    semaphore:release()
    sleep(0)
    assert.same({1, 2}, winners(got))
    semaphore:release()
    sleep(0)
    assert.same({1, 2, 3}, winners(got))
    assert.is_true(semaphore:locked())
  end))

  it("is handed over: nobody gets in between", virtual(function()
    local semaphore = Semaphore()
    semaphore:acquire()
    local got = waiting(1, function() return semaphore:acquire() end)
    semaphore:release()
    assert_timed_out(semaphore:acquire(0))
    sleep(0)
    assert.same({1}, winners(got))
  end))

  it("gives up after its time, and what comes then is for the next one",
    virtual(function()
      local semaphore = Semaphore(0)
      local got = waiting(2, function(i) return semaphore:acquire(i) end)
      sleep(1.5)
      semaphore:release()
      sleep(5)
      assert.same({{1, nil, "ETIMEDOUT: Operation timed out after 1 seconds", "ETIMEDOUT"},
        {2, true}}, got)
      assert.is_true(semaphore:locked())
    end))

  it("that is acquired in time cancels its timeout", virtual(function()
    local semaphore = Semaphore(0)
    local got = waiting(1, function() return semaphore:acquire(2) end)
    sleep(1)
    semaphore:release()
    sleep(5)
    assert.same({{1, true}}, got)
  end))

  it("grows when it is released unacquired, and can then be acquired without a task", function()
    local semaphore = Semaphore(0)
    semaphore:release()
    semaphore:release()
    assert.equal("Semaphore (2 free, 0 waiting)", tostring(semaphore))
    assert.is_true(semaphore:acquire(0))
    assert.is_true(semaphore:acquire(0))
    assert_timed_out(semaphore:acquire(0))
    assert.equal("Semaphore (locked, 0 waiting)", tostring(semaphore))
  end)

  it("keeps nothing of those whose time is over", virtual(function()
    local semaphore = Semaphore(0)
    waiting(101, function(i) return semaphore:acquire(i < 101 and 1 or nil) end)
    sleep(2)
    assert.equal("Semaphore (locked, 1 waiting)", tostring(semaphore))
    semaphore:release()
    sleep(0)
  end))

  it("that is cancelled while it waits, or before it runs, takes nothing", virtual(function()
    local semaphore = Semaphore(0)
    local got, tasks = waiting(4, function() return semaphore:acquire() end)
    tasks[1]:cancel()
    semaphore:release() -- for the second
    tasks[2]:cancel()
    sleep(0)
    sleep(0)
    assert.same({3}, winners(got))
    tasks[4]:cancel()
    semaphore:release()
    sleep(0)
    assert.equal("Semaphore (1 free, 0 waiting)", tostring(semaphore))
  end))

  it("is held by with() while a function runs, error or not", virtual(function()
    local semaphore = Semaphore()
    local got = helper.pack(semaphore:with(function(...)
      assert.is_true(semaphore:locked())
      sleep(1)
      return ...
    end, 1, nil))
    assert.same({n = 2, 1}, got)
    assert.is_false(semaphore:locked())
    local err = {}
    local ok, raised = zmqloop.pcall(semaphore.with, semaphore, function()
      sleep(1)
      error(err)
    end)
    assert.is_false(ok)
    assert.equal(err, raised)
    assert.is_false(semaphore:locked())
    helper.raises("bad argument #1 to 'with'", function() semaphore:with() end)
    helper.raises("bad argument #1 to 'with'", function() semaphore:with(42) end)
  end))

  it("is waited for by with(), which gives it back when it is cancelled",
    virtual(function()
      local semaphore = Semaphore()
      semaphore:acquire()
      local got, tasks = waiting(2, function()
        return semaphore:with(function()
          sleep(5)
          return true
        end)
      end)
      assert.same({}, got)
      semaphore:release()
      sleep(1)
      assert.is_true(semaphore:locked())
      tasks[1]:cancel()
      sleep(0)
      sleep(6)
      assert.same({2}, winners(got))
      assert.is_false(semaphore:locked())
    end))

  it("raises outside of a task when it would wait, and when it would not", function()
    helper.raises("acquire: only inside a task", function() Semaphore(0):acquire() end)
    helper.raises("acquire: only inside a task", function() Semaphore(1):acquire(1) end)
  end)

  it("wakes tasks on their own loops, and passes by those whose loop is closed",
    virtual(function(t)
      local semaphore, order = Semaphore(0), {}
      local others = {}
      for i = 1, 2 do
        others[i] = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = "virtual"})
        others[i]:spawn(function()
          local acquired = semaphore:acquire()
          order[#order + 1] = {i, acquired}
        end)
        others[i]:step()
      end
      others[1]:close()
      semaphore:release()
      others[2]:step()
      assert.same({{2, true}}, order)
    end))

  it("of many waiters serves each one once, whoever is cancelled when",
    virtual(function()
      math.randomseed(42)
      local semaphore, held, most, served = Semaphore(3), 0, 0, 0
      local tasks = {}
      for i = 1, 150 do
        tasks[i] = zmqloop.spawn(function()
          sleep(math.random(0, 20) / 10)
          if semaphore:acquire(math.random(1, 100)) then
            held = held + 1
            most = math.max(most, held)
            sleep(math.random(0, 10) / 10)
            held = held - 1
            served = served + 1
            semaphore:release()
          end
        end)
      end
      local cancelled = 0
      for _ = 1, 100 do
        sleep(math.random(0, 10) / 50)
        local task = tasks[math.random(#tasks)]
        -- one that holds it would not give it back
        if task.waiter and task:cancel() then cancelled = cancelled + 1 end
      end
      for _, task in ipairs(tasks) do
        if not task:cancelled() then task:await() end
      end
      assert.is_true(cancelled > 10 and served > 50)
      assert.equal(3, most)
      assert.equal("Semaphore (3 free, 0 waiting)", tostring(semaphore))
    end))
end)

describe("a bounded semaphore", function()
  it("raises when it is released more often than acquired", virtual(function()
    local semaphore = BoundedSemaphore(2)
    helper.raises("BoundedSemaphore released too many times", semaphore.release, semaphore)
    semaphore:acquire()
    semaphore:release()
    helper.raises("BoundedSemaphore released too many times", semaphore.release, semaphore)
    assert.equal("BoundedSemaphore (2 free, 0 waiting)", tostring(semaphore))
  end))
end)

describe("a lock", function()
  it("is held by one at a time, in the order of asking", virtual(function()
    local lock, inside, order = Lock(), 0, {}
    local tasks = {}
    for i = 1, 5 do
      tasks[i] = zmqloop.spawn(function()
        assert.is_true(lock:acquire())
        inside = inside + 1
        assert.equal(1, inside)
        sleep(1)
        inside = inside - 1
        lock:release()
        order[#order + 1] = i
      end)
    end
    zmqloop.gather(tasks)
    assert.same({1, 2, 3, 4, 5}, order)
    assert.is_false(lock:locked())
  end))

  it("is not had while another one holds it for too long", virtual(function()
    local lock = Lock()
    lock:acquire()
    assert_timed_out(lock:acquire(1))
    lock:release()
    assert.is_true(lock:acquire(1))
    assert.equal("Lock (locked, 0 waiting)", tostring(lock))
  end))

  it("raises when it is released unlocked", virtual(function()
    local lock = Lock()
    helper.raises("Lock released too many times", lock.release, lock)
    lock:acquire()
    lock:release()
    helper.raises("Lock released too many times", lock.release, lock)
  end))
end)
