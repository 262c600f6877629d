-- Queue, PriorityQueue and LifoQueue. Times are those of a virtual clock.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local Queue, PriorityQueue, LifoQueue = zmqloop.Queue, zmqloop.PriorityQueue, zmqloop.LifoQueue
local sleep, spawn = zmqloop.sleep, zmqloop.spawn

-- Lua 5.1 cannot suspend in an iterator.
local SUSPENDS_ANYWHERE = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local function virtual(fn)
  return helper.async(fn, {clock = "virtual"})
end

local function drain(queue)
  local items = {}
  while not queue:empty() do items[#items + 1] = queue:get_nowait() end
  return items
end

local function fill(queue, items)
  for _, item in ipairs(items) do assert.is_true(queue:put_nowait(item)) end
  return queue
end

describe("a queue", function()
  it("is first in, first out, and takes any value but nil", virtual(function()
    local table_item = {}
    local queue = fill(Queue(), {3, "x", table_item, true})
    assert.is_true(queue:put(false))
    for _, item in ipairs{3, "x", table_item, true} do assert.equal(item, queue:get()) end
    assert.is_false(queue:get())
    helper.raises("bad argument #1 to 'put'", function() queue:put(nil) end)
    helper.raises("bad argument #1 to 'put_nowait'", function() queue:put_nowait(nil) end)
  end))

  it("is full at its size, which is a number not below 0", function()
    for _, size in ipairs{-1, "big", 0 / 0} do
      helper.raises("bad argument #1 to 'Queue'", Queue, size)
    end
    assert.equal(0, Queue().maxsize)
    assert.equal(0, Queue(math.huge).maxsize)
    local queue = Queue(2)
    assert.equal(2, queue.maxsize)
    assert.is_true(queue:empty())
    assert.is_false(queue:full())
    assert.is_true(queue:put_nowait(0))
    assert.is_false(queue:empty())
    assert.is_false(queue:full())
    assert.is_true(queue:put_nowait(1))
    assert.is_true(queue:full())
    assert.equal("Queue (2 of 2 items)", tostring(queue))
    assert.equal("Queue (0 items)", tostring(Queue()))
  end)

  it("rounds a size with a fraction up", function()
    local queue = fill(Queue(1.3), {0, 1})
    assert.is_true(queue:full())
    helper.fails("EAGAIN", queue:put_nowait(2))
  end)
end)

describe("getting from a queue", function()
  it("returns what is there at once", virtual(function()
    assert.equal(0, fill(Queue(), {0}):get())
  end))

  it("without waiting is EAGAIN when there is nothing", function()
    local queue = fill(Queue(), {0})
    assert.equal(0, queue:get_nowait())
    helper.fails("EAGAIN", queue:get_nowait())
    helper.fails("ETIMEDOUT", queue:get(0))
  end)

  it("lets the one in that waits for room", virtual(function()
    local queue = fill(Queue(1), {0})
    local put = spawn(function() return queue:put(1) end)
    sleep(0)
    assert.equal(0, queue:get())
    assert.is_true(put:await())
    assert.equal(1, queue:get())
  end))

  it("waits for what comes, in the order of asking", virtual(function()
    local queue, order = Queue(), {}
    for i = 1, 3 do
      spawn(function()
        local item = queue:get()
        order[#order + 1] = i .. item
      end)
    end
    sleep(1)
    fill(queue, {"a", "b", "c"})
    assert.same({}, order)
    sleep(0)
    assert.same({"1a", "2b", "3c"}, order)
  end))

  it("gives up after its time, and what comes then waits for others", virtual(function(t)
    local queue, start = Queue(), t.loop:time()
    helper.fails("ETIMEDOUT", queue:get(2))
    assert.equal(2, t.loop:time() - start)
    fill(queue, {0})
    assert.equal(0, queue:get())
  end))

  it("with a time of 0 is too late at once", virtual(function(t)
    local start = t.loop:time()
    helper.fails("ETIMEDOUT", Queue():get(0))
    assert.equal(start, t.loop:time())
  end))

  it("in time has done with the timeout", virtual(function()
    local queue = Queue()
    local get = spawn(function() return queue:get(2) end)
    sleep(1)
    fill(queue, {0})
    sleep(5)
    assert.equal(0, get:await())
  end))

  it("passes by those whose time is over, on both sides", virtual(function()
    local full = fill(Queue(1), {0})
    for i = 1, 10 do spawn(function() full:put(i, i < 10 and 1 or nil) end) end
    sleep(2)
    assert.equal(0, full:get())
    assert.equal(10, full:get())
    local empty, got = Queue(), {}
    for i = 1, 10 do spawn(function() got[i] = empty:get(i < 10 and 1 or nil) end) end
    sleep(2)
    fill(empty, {"x"})
    sleep(0)
    assert.same({[10] = "x"}, got)
    assert.equal("Semaphore (locked, 0 waiting)", tostring(empty.ready))
  end))

  it("is the iterator of a for loop", virtual(function()
    if not SUSPENDS_ANYWHERE then pending("5.1 cannot suspend in an iterator") end
    local queue, sum = Queue(), 0
    spawn(function()
      for i = 1, 4 do
        queue:put(i)
        sleep(1)
      end
    end)
    for item in queue:items() do
      sum = sum + item
      if item == 4 then break end
    end
    assert.equal(10, sum)
    sleep(1)
  end))
end)

describe("putting into a queue", function()
  it("goes on at once while there is room", virtual(function()
    local queue = Queue()
    for i = 1, 100 do assert.is_true(queue:put(i)) end
    assert.equal(100, queue:qsize())
  end))

  it("without waiting is EAGAIN when it is full", function()
    local queue = fill(Queue(1), {0})
    helper.fails("EAGAIN", queue:put_nowait(1))
    helper.fails("ETIMEDOUT", queue:put(1, 0))
    assert.same({0}, drain(queue))
  end)

  it("hands items to those that wait", virtual(function()
    local queue, got = Queue(), {}
    for i = 1, 2 do spawn(function() got[i] = queue:get() end) end
    sleep(0)
    assert.is_true(queue:put("a"))
    assert.is_true(queue:put_nowait("b"))
    assert.equal(0, queue:qsize()) -- they are spoken for
    helper.fails("EAGAIN", queue:get_nowait())
    sleep(0)
    assert.same({"a", "b"}, got)
  end))

  it("waits for room, in the order of asking", virtual(function()
    local queue, order = fill(Queue(1), {0}), {}
    for i = 1, 3 do
      spawn(function()
        assert.is_true(queue:put(i))
        order[#order + 1] = i
      end)
    end
    sleep(1)
    assert.same({}, order)
    for i = 0, 3 do
      assert.equal(i, queue:get())
    end
    assert.same({1, 2, 3}, order)
  end))

  it("too late puts nothing in", virtual(function()
    local queue = fill(Queue(1), {0})
    helper.fails("ETIMEDOUT", queue:put(1, 1))
    assert.equal(0, queue:get())
    helper.fails("EAGAIN", queue:get_nowait())
    queue:put(1)
    assert.equal(1, queue:get())
  end))

  it("in time has done with the timeout", virtual(function()
    local queue = fill(Queue(1), {0})
    local put = spawn(function() return queue:put(1, 2) end)
    sleep(1)
    assert.equal(0, queue:get())
    sleep(5)
    assert.is_true(put:await())
    assert.equal(1, queue:get())
  end))
end)

describe("join()", function()
  it("waits until every item is done, with several workers", virtual(function()
    local queue, sum, workers = Queue(), 0, {}
    for i = 1, 2 do
      workers[i] = spawn(function()
        while true do
          local item = queue:get()
          sum = sum + item
          sleep(item % 3)
          queue:task_done()
        end
      end)
    end
    for i = 1, 100 do queue:put(i) end
    assert.is_true(queue:join())
    assert.equal(5050, sum)
    for _, worker in ipairs(workers) do worker:cancel() end
  end))

  it("goes on in the next iteration after the last task_done()", virtual(function()
    local queue = fill(Queue(), {0})
    local joined = false
    spawn(function() joined = queue:join() end)
    sleep(1)
    queue:get_nowait()
    assert.is_false(joined)
    queue:task_done()
    assert.is_false(joined)
    sleep(0)
    assert.is_true(joined)
  end))

  it("of an empty queue does not wait", virtual(function()
    assert.is_true(Queue():join())
    assert.is_true(Queue():join(0))
  end))

  it("gives up after its time", virtual(function(t)
    local queue, start = fill(Queue(), {0}), t.loop:time()
    helper.fails("ETIMEDOUT", queue:join(2))
    assert.equal(2, t.loop:time() - start)
    helper.fails("ETIMEDOUT", queue:join(0))
  end))

  it("is told once for each item, not more", function()
    local queue = fill(Queue(), {0})
    queue:task_done()
    helper.raises("task_done() called too many times", queue.task_done, queue)
  end)
end)

describe("a producer and a consumer", function()
  it("hand on all items in order, whatever the size", virtual(function()
    for size = 0, 3 do
      local queue, got = Queue(size), {}
      local producer = spawn(function()
        for i = 0, 9 do
          assert.is_true(queue:put(i))
          if i % 3 == 0 then sleep(1) end
        end
      end)
      for _ = 0, 9 do
        got[#got + 1] = queue:get(10)
        if #got % 4 == 0 then sleep(2) end
      end
      producer:await()
      assert.same({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, got)
    end
  end))

  it("lose and double nothing when one of them is cancelled, wherever that is",
    virtual(function(t)
      local seen = {get = 0, put = 0, neither = 0}
      for moment = 0, 25 do
        local queue, sent, got = Queue(1), {}, {}
        local function produce(first)
          for i = first, 5 do
            queue:put(i)
            sent[#sent + 1] = i
          end
        end
        local function consume()
          while #got < 5 do
            local item = queue:get()
            got[#got + 1] = item
          end
        end
        local tasks = {put = spawn(produce, 1), get = spawn(consume)}
        for _ = 1, moment % 13 do sleep(0) end
        local victim = moment < 13 and "put" or "get"
        if tasks[victim]:cancel() then
          seen[victim] = seen[victim] + 1
          sleep(0)
          assert.is_true(tasks[victim]:done())
          tasks[victim] = victim == "put" and spawn(produce, #sent + 1) or spawn(consume)
        else
          seen.neither = seen.neither + 1
        end
        zmqloop.gather(tasks)
        assert.same({1, 2, 3, 4, 5}, got, "at " .. moment)
        assert.equal(0, queue:qsize())
      end
      assert.is_true(seen.put > 3 and seen.get > 3 and seen.neither > 3)
      assert.is_true(t.loop:time() < 1)
    end))
end)

describe("a priority queue", function()
  it("hands out the least first", virtual(function()
    local queue = fill(PriorityQueue(), {5, 3, 9, 1, 3, 7})
    assert.same({1, 3, 3, 5, 7, 9}, drain(queue))
    assert.equal("PriorityQueue (0 items)", tostring(queue))
  end))

  it("hands out equal ones in the order they came, by a function of its own", function()
    local queue = PriorityQueue(nil, function(a, b) return a[1] < b[1] end)
    for i = 1, 40 do queue:put_nowait({i % 4, i}) end
    local last = {-1, 0}
    for _, item in ipairs(drain(queue)) do
      assert.is_true(item[1] > last[1] or item[1] == last[1] and item[2] > last[2])
      last = item
    end
    helper.raises("bad argument #2 to 'PriorityQueue'", PriorityQueue, 1, 2)
  end)

  it("is in order after each of many random steps", function()
    math.randomseed(7)
    local queue, model = PriorityQueue(), {}
    for _ = 1, 500 do
      if math.random(5) > 2 then
        local item = math.random(100)
        queue:put_nowait(item)
        model[#model + 1] = item
        table.sort(model)
      else
        assert.equal(table.remove(model, 1), (queue:get_nowait()))
      end
      assert.equal(#model, queue:qsize())
    end
  end)

  it("loses and doubles nothing when its comparison uses it", function()
    local n, inside, queue, taken = 0, false, nil, {}
    local function take()
      local item = queue:get_nowait()
      if item then
        assert.is_nil(taken[item])
        taken[item] = true
      end
    end
    queue = PriorityQueue(0, function(a, b)
      if not inside and n < 300 then
        inside = true
        if n % 3 == 0 then
          n = n + 1
          queue:put_nowait(n)
        elseif n % 7 == 0 then
          n = n + 1
          take()
          queue:put_nowait(n)
        end
        inside = false
      end
      return a > b
    end)
    while n < 300 do
      n = n + 1
      queue:put_nowait(n)
      if n % 5 == 0 then take() end
    end
    local last = math.huge
    for _ = 1, queue:qsize() do
      local item = queue:get_nowait()
      assert.is_true(item < last)
      last, taken[item] = item, true
    end
    for i = 1, n do assert.is_true(taken[i]) end
  end)

  it("is what it was when a comparison fails", virtual(function()
    local queue = fill(PriorityQueue(4), {2, 1, 3})
    helper.raises("attempt to compare", function() queue:put({}, 0) end)
    helper.raises("attempt to compare", function() queue:put_nowait("x") end)
    assert.is_true(queue:put_nowait(0))
    assert.is_true(queue:full())
    assert.same({0, 1, 2, 3}, drain(queue))
    local fails = false
    queue = fill(PriorityQueue(3, function(a, b)
      if fails then error("no order") end
      return a < b
    end), {2, 3, 1})
    fails = true
    helper.raises("no order", function() queue:get(0) end)
    helper.fails("EAGAIN", queue:put_nowait(4))
    fails = false
    assert.same({1, 2, 3}, drain(queue))
  end))

  it("hands the one that waits what is least when it runs", virtual(function()
    local queue = PriorityQueue()
    local get = spawn(function() return queue:get() end)
    sleep(0)
    fill(queue, {2, 1})
    assert.equal(1, get:await())
  end))
end)

describe("a lifo queue", function()
  it("hands out the last first", virtual(function()
    local queue = fill(LifoQueue(3), {1, 2, 3})
    helper.fails("EAGAIN", queue:put_nowait(4))
    assert.same({3, 2, 1}, drain(queue))
    helper.raises("bad argument #1 to 'LifoQueue'", LifoQueue, -1)
  end))
end)
