--- zmqloop.async.combine: shield(), gather() and as_completed(): futures built from futures.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("async.combine") then
  return classes.registered("async.combine")
end

local check = require("zmqloop.check")
local compat = require("zmqloop.compat")
local future = require("zmqloop.async.future")
local tasks = require("zmqloop.async.task")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local Future, succeed, check_future = future.Future, future.succeed, future.check_future
local await, task_to_suspend = tasks.await_future, tasks.task_to_suspend

-- ---- shield() -----------------------------------------------------------------------------------

-- A future with the outcome of its `inner` one. It subscribes to that only while something waits
-- for it; at other times its methods copy the outcome when they are called.
local Shield = setmetatable({}, {__index = Future})
Shield.__index = Shield
Shield.__name = "zmqloop.Future"

local function take_over(self, inner)
  if self.state or not inner:done() then
    return
  elseif inner.state == "error" then
    future.fail(self, inner:error(), inner.trace)
  elseif inner.state == "cancelled" then
    future.finish(self, "cancelled")
  else
    succeed(self, inner:result())
  end
end

local function inner_is_done(part, inner)
  take_over(part.outer, inner)
end

-- These methods first copy the outcome, if there is one.
for _, method in ipairs{
  "done", "cancelled", "result", "error", "cancel", "set_result", "set_error", "__tostring",
} do
  Shield[method] = function(self, ...)
    if type(self) == "table" and self.inner then -- else Future's own method refuses it
      take_over(self, self.inner)
    end
    return Future[method](self, ...)
  end
end

-- Overrides Future:subscribe().
function Shield:subscribe(...)
  self.waiting = self.waiting + 1 -- first: unsubscribe() may follow a failed one
  if not self.part.place then
    self.inner:subscribe(false, inner_is_done, self.part)
  end
  Future.subscribe(self, ...)
end

local function stop_listening(self)
  self.inner:unsubscribe(self.part)
  self.part.place = nil
end

-- Overrides Future:unsubscribe().
function Shield:unsubscribe(subscriber)
  Future.unsubscribe(self, subscriber)
  self.waiting = self.waiting - 1
  if self.waiting == 0 then
    stop_listening(self)
  end
end

-- The inner one is left running.
function Shield:give_up()
  future.finish(self, "cancelled")
  stop_listening(self)
end

--- A future with the outcome of `inner`. Cancelling it does not cancel `inner`: await(shield(f)).
local function shield(inner)
  check_future("shield", 1, inner)
  local outer = setmetatable({
    loop = core.running_loop() or inner.loop,
    inner = inner,
    part = {outer = nil, place = nil}, -- the subscriber of the inner one
    waiting = 0, -- how many subscribers there are here
  }, Shield)
  outer.part.outer = outer
  return outer
end

-- ---- gather() and as_completed() ----------------------------------------------------------------

local function check_futures(method, futures)
  if type(futures) ~= "table" or future.is_future(futures) then
    check.expected(method, 1, "table of futures", futures)
  end
  local list, keys = {}, {}
  for i, item in ipairs(futures) do
    list[i], keys[i] = item, i
  end
  for key, item in pairs_of(futures) do
    if keys[key] ~= key then
      list[#list + 1], keys[#keys + 1] = item, key
    end
  end
  for _, item in ipairs(list) do
    if not future.is_future(item) then
      check.bad(method, 1, ("Future expected among them, got %s"):format(type(item)))
    end
  end
  return list, keys
end

-- The future that gather() awaits: it is done when all futures in `list` are. Cancelling it cancels
-- them, and it is cancelled when they have ended.
local Gathered = setmetatable({}, {__index = Future})
Gathered.__index = Gathered
Gathered.__name = "zmqloop.Future"

local function part_is_done(part)
  local all = part.all
  all.left = all.left - 1
  if all.left == 0 and not all.state then
    future.finish(all, all.is_given_up and "cancelled" or "result")
  end
end

local function gathered(loop, list)
  local all = setmetatable({loop = loop, list = list, parts = {}, left = #list}, Gathered)
  for i, item in ipairs(list) do
    local part = {all = all, place = nil}
    all.parts[i] = part
    item:subscribe(false, part_is_done, part)
  end
  if #list == 0 then
    future.finish(all, "result")
  end
  return all
end

-- The caller cancels the parts instead.
function Gathered:give_up(pending)
  self.is_given_up = true
  for i = #self.list, 1, -1 do
    pending[#pending + 1] = self.list[i]
  end
end

-- The waiting task has been ended, because its loop is closed.
function Gathered:unsubscribe(subscriber)
  Future.unsubscribe(self, subscriber)
  for i, item in ipairs(self.list) do
    item:unsubscribe(self.parts[i])
  end
end

--- Waits for all futures of a list or map and returns a table of their first results with the same
-- keys. If some failed, raises the error of the first of them, in the order of the list, when all
-- are done. Cancelling the task cancels them all; it resumes when they have ended. Only inside a
-- task.
local function gather(futures)
  local list, keys = check_futures("gather", futures)
  await("gather", gathered(task_to_suspend("gather").loop, list))
  local results = {}
  for i, item in ipairs(list) do
    results[keys[i]] = item:result()
  end
  return results
end

local function hand_out(part)
  part.done:put_nowait(part.index)
end

--- An iterator over the futures of a list or map in the order in which they are done: future, key.
-- Only inside tasks; several may share it. (Lua 5.1 cannot suspend in a `for`: call the iterator in
-- a `while` there.)
local function as_completed(futures)
  local list, keys = check_futures("as_completed", futures)
  task_to_suspend("as_completed")
  local done, parts, left = require("zmqloop.async.queues").Queue(), {}, #list
  -- Unsubscribes when the iterator is dropped early.
  local guard = future.guard(function()
    for i, part in ipairs(parts) do
      list[i]:unsubscribe(part)
    end
  end)
  for i, item in ipairs(list) do
    parts[i] = {index = i, done = done, place = nil}
    item:subscribe(false, hand_out, parts[i])
  end
  local function next_done()
    if left == 0 then
      guard = nil
      return nil
    end
    task_to_suspend("as_completed")
    left = left - 1 -- reserves one
    local got, index = compat.pcall(done.get, done)
    if not got then
      left = left + 1
      error(index, 0)
    end
    return list[index], keys[index]
  end
  return next_done, nil, nil, guard
end

return classes.register("async.combine", {
  shield = shield,
  gather = gather,
  as_completed = as_completed,
})
