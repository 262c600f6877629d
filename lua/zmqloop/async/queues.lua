--- zmqloop.async.queues: Queue, PriorityQueue and LifoQueue, to pass items between tasks.
-- Internal: programs do not require it, and it may change at any time.
-- Names and semantics of Tornado's queues; timeouts, waiting and cancelling as in async.locks. An
-- item is in the queue once put() has returned, and out of it once get() has: a call that was
-- cancelled or timed out has put nothing in and taken nothing out.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local classes = require("zmqloop.class")
local locks = require("zmqloop.async.locks")
local waiters = require("zmqloop.async.waiters")

local misuse = core.misuse
local Event, Semaphore = locks.Event, locks.Semaphore
local begin_wait, timed_out = waiters.begin_wait, waiters.timed_out

-- ---- stores of items ----------------------------------------------------------------------

-- Each of these has push(item), which returns true, or false and the error of a comparison, having
-- changed nothing; and pop(), which must not be called when empty and returns true and the item, or
-- false and an error.

local Fifo = {}
Fifo.__index = Fifo

--- An empty one.
function Fifo.new()
  return setmetatable({first = 1, last = 0}, Fifo)
end

--- Appends the item.
function Fifo:push(item)
  self.last = self.last + 1
  self[self.last] = item
  return true
end

--- Takes the first one.
function Fifo:pop()
  local item = self[self.first]
  self[self.first] = nil
  self.first = self.first + 1
  if self.first > self.last then
    self.first, self.last = 1, 0 -- stays an array
  end
  return true, item
end

local Lifo = {}
Lifo.__index = Lifo

--- An empty one.
function Lifo.new()
  return setmetatable({n = 0}, Lifo)
end

--- Puts the item on top of the others.
function Lifo:push(item)
  self.n = self.n + 1
  self[self.n] = item
  return true
end

--- Takes the one on top.
function Lifo:pop()
  local item = self[self.n]
  self[self.n] = nil
  self.n = self.n - 1
  return true, item
end

-- A binary heap; equal items leave in the order in which they came. A comparison may fail, so all
-- comparisons are made before anything moves. It may also use the queue, directly or by a
-- finalizer: then the result is discarded and the operation starts again.
local Heap = {}
Heap.__index = Heap

--- An empty one.
function Heap.new(before)
  return setmetatable({n = 0, before = before, arrivals = 0, changes = 0}, Heap)
end

local function goes_before(self, a, b)
  if not (a and b) then
    return false -- the heap has changed: all of it is done again
  elseif self.before(a.item, b.item) then
    return true
  end
  return a.arrival < b.arrival and not self.before(b.item, a.item)
end

-- The result of plan(self, ...), repeated until the heap has not changed meanwhile; or false and an
-- error.
local function plan_undisturbed(self, plan, ...)
  local ok, result, changes
  repeat
    changes = self.changes
    ok, result = pcall(plan, self, ...)
  until not ok or changes == self.changes
  return ok, result
end

-- The place for an entry, from the end up.
local function place_for(self, entry)
  entry.arrival = self.arrivals
  local place = self.n + 1
  while place > 1 do
    local parent = (place - place % 2) / 2
    if not goes_before(self, entry, self[parent]) then
      break
    end
    place = parent
  end
  return place
end

--- Adds the item.
function Heap:push(item)
  local entry = {item = item, arrival = nil}
  local ok, place = plan_undisturbed(self, place_for, entry)
  if not ok then
    return false, place
  end
  self.changes = self.changes + 1
  self.arrivals = self.arrivals + 1
  self.n = self.n + 1
  local hole = self.n
  while hole > place do
    local parent = (hole - hole % 2) / 2
    self[hole] = self[parent]
    hole = parent
  end
  self[place] = entry
  return true
end

-- The places, from the top down, whose entries move up when the last entry takes the first one's
-- place.
local function path_down(self)
  local last, path, place = self[self.n], {1}, 1
  while 2 * place < self.n do
    local child = 2 * place
    if child + 1 < self.n and goes_before(self, self[child + 1], self[child]) then
      child = child + 1
    end
    if not goes_before(self, self[child], last) then
      break
    end
    path[#path + 1] = child
    place = child
  end
  return path
end

--- Takes the least one.
function Heap:pop()
  local ok, path = plan_undisturbed(self, path_down)
  if not ok then
    return false, path
  end
  local item, last = self[1].item, self[self.n]
  self.changes = self.changes + 1
  self[self.n] = nil
  self.n = self.n - 1
  for i = 1, #path - 1 do
    self[path[i]] = self[path[i + 1]]
  end
  if self.n > 0 then
    self[path[#path]] = last
  end
  return true, item
end

-- ---- the queue ---------------------------------------------------------------------------------

local function name_of(self)
  return self.__name:match("%w+$")
end

local Queue = classes.new("Queue")

local function new_queue(class, store, maxsize)
  if maxsize ~= nil
    and (type(maxsize) ~= "number" or maxsize < 0 or maxsize ~= maxsize) then
    check.number_expected(name_of(class), 1, "number not below 0", maxsize)
  end
  maxsize = maxsize ~= math.huge and math.ceil(maxsize or 0) or 0
  local finished = Event.new()
  finished:set()
  return setmetatable({
    maxsize = maxsize, -- 0: no limit
    store = store,
    ready = Semaphore.new(0), -- items in the store that are not reserved for a get()
    room = maxsize > 0 and Semaphore.new(maxsize) or nil,
    unfinished = 0, -- items for which task_done() was not called yet
    finished = finished, -- set while there are none
  }, class)
end

--- Creates a queue, first in, first out, for at most `maxsize` items. Fractions are rounded up; nil
-- or 0: no limit.
function Queue.new(maxsize)
  return new_queue(Queue, Fifo.new(), maxsize)
end

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.store then
    core.bad_self(method, class, self)
  end
end

local function is_less(a, b)
  return a < b
end

-- Raises the error of a comparison; one of the default comparison is misuse, and names the user's
-- line.
local function raise_unordered(self, err)
  if self.store.before == is_less then
    misuse(tostring(err):gsub("^.-:%d+: ", "") .. "; PriorityQueue(maxsize, before) orders others")
  end
  error(err, 0)
end

-- Puts an item into room that was acquired.
local function push(self, item)
  local ok, err = self.store:push(item)
  if not ok then
    if self.room then
      self.room:release()
    end
    raise_unordered(self, err)
  end
  self.unfinished = self.unfinished + 1
  self.finished:clear()
  self.ready:release()
end

-- Takes an item that was acquired.
local function pop(self)
  local ok, item = self.store:pop()
  if not ok then
    self.ready:release()
    error(item, 0)
  end
  if self.room then
    self.room:release()
  end
  return item
end

--- Puts an item in, anything but nil; waits for room for at most `timeout` seconds. Returns true,
-- or nil, message, "ETIMEDOUT".
function Queue:put(item, timeout)
  check_self(self, "Queue", "put")
  check.value("put", 1, item)
  local task = begin_wait("put", 2, timeout)
  if self.room and not self.room:take(task, timeout) then
    return timed_out(timeout)
  end
  push(self, item)
  return true
end

--- The same without waiting, from anywhere: nil, "EAGAIN: ...", "EAGAIN" if the queue is full.
function Queue:put_nowait(item)
  check_self(self, "Queue", "put_nowait")
  check.value("put_nowait", 1, item)
  if self.room and not self.room:take() then
    return nil, "EAGAIN: queue is full", "EAGAIN"
  end
  push(self, item)
  return true
end

--- Takes the next item out; waits for one for at most `timeout` seconds. Returns it, or nil,
-- message, "ETIMEDOUT".
function Queue:get(timeout)
  check_self(self, "Queue", "get")
  local task = begin_wait("get", 1, timeout)
  if not self.ready:take(task, timeout) then
    return timed_out(timeout)
  end
  return pop(self)
end

--- The same without waiting, from anywhere: nil, "EAGAIN: ...", "EAGAIN" if there is none.
function Queue:get_nowait()
  check_self(self, "Queue", "get_nowait")
  if not self.ready:take() then
    return nil, "EAGAIN: queue is empty", "EAGAIN"
  end
  return pop(self)
end

local function next_item(self)
  return self:get()
end

--- For `for item in queue:items() do`: get() for ever. (Lua 5.1 cannot suspend in a `for`.)
function Queue:items()
  check_self(self, "Queue", "items")
  return next_item, self
end

--- Reports that the work on an item taken from the queue is done. Raises if there was none.
function Queue:task_done()
  check_self(self, "Queue", "task_done")
  if self.unfinished == 0 then
    misuse("task_done() called too many times")
  end
  self.unfinished = self.unfinished - 1
  if self.unfinished == 0 then
    self.finished:set()
  end
end

--- Waits until task_done() was called for every item that was put in, at most `timeout` seconds.
-- Returns true, or nil, message, "ETIMEDOUT".
function Queue:join(timeout)
  check_self(self, "Queue", "join")
  begin_wait("join", 1, timeout) -- its errors name join()
  return self.finished:wait(timeout)
end

--- How many items get_nowait() could take out now.
function Queue:qsize()
  check_self(self, "Queue", "qsize")
  return self.ready.free
end

--- Whether get() would have to wait.
function Queue:empty()
  check_self(self, "Queue", "empty")
  return self.ready.free == 0
end

--- Whether put() would have to wait.
function Queue:full()
  check_self(self, "Queue", "full")
  return self.room ~= nil and self.room.free == 0
end

function Queue:__tostring()
  return ("%s (%d%s items)"):format(name_of(self), self:qsize(),
    self.room and (" of %d"):format(self.maxsize) or "")
end

-- ---- other orders ------------------------------------------------------------------------------

local PriorityQueue = classes.new("PriorityQueue", Queue)

--- A queue whose least item is taken out first; equal items in the order in which they came.
-- before(a, b) returns whether a is less than b, by default `a < b`; put() and get() raise its
-- errors, having changed nothing.
function PriorityQueue.new(maxsize, before)
  before = before or is_less
  core.check_callable("PriorityQueue", 2, before)
  return new_queue(PriorityQueue, Heap.new(before), maxsize)
end

local LifoQueue = classes.new("LifoQueue", Queue)

--- A queue whose last item is taken out first.
function LifoQueue.new(maxsize)
  return new_queue(LifoQueue, Lifo.new(), maxsize)
end

return {
  Queue = Queue,
  PriorityQueue = PriorityQueue,
  LifoQueue = LifoQueue,
}
