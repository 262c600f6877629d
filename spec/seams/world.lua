-- The objects that a program acts on: a loop and loops inside it, links, locks, queues, tasks, a
-- signal and a pipe; how they are run, and how they are closed.
local contexts = require("spec.seams.contexts")
local acts = require("spec.seams.acts")
local Link = require("spec.seams.link")
local Oracle = require("spec.seams.oracle")
local memory = require("spec.seams.memory")
local green = require("zmqloop.green")
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq

local MOST_ACTS = 150  -- of a program: some acts bring others along
local PATIENCE = 2000  -- iterations until all that can end has ended
local SIGNAL = "USR1"

-- Of clocks that are functions.
local monotonic = zmqloop.IOLoop()
local function time() return monotonic:time() end

local World = {}
World.__index = World

-- ---- chance, by the number of a statement -----------------------------------------------------

--- One of a list, or nil if that is empty.
function World.pick(_, list, number)
  if #list > 0 then return list[number % #list + 1] end
end

-- ---- calls of what is under test --------------------------------------------------------------

local function finish(self, ...)
  memory.off()
  if self.dropped then -- a finalizer had to run during this call
    self.dropped = false
    memory.usual(self.program.hurries)
  end
  return ...
end

-- Inside pcall, which itself may need memory.
local function with_failure(at, fn, ...)
  memory.fail_once(at)
  return fn(...)
end

-- What waits suspends across pcall, which 5.1 cannot.
local protected = {[true] = zmqloop.pcall, [false] = pcall}

--- pcall() for a call that the statement is about: one that memory, a finalizer or a hook that has
-- been asked for may strike.
function World:call(waits, fn, ...)
  if self.to_drop then
    local body = self.to_drop
    self.to_drop, self.dropped = nil, true
    memory.drop(body)
  end
  if self.to_fail and self.hooks == 0 then -- calling a hook wants memory, too, anywhere
    local at = self.to_fail
    self.to_fail = nil
    self.oracle.doubts = self.oracle.doubts + 1
    return finish(self, protected[waits](with_failure, at, fn, ...))
  end
  return finish(self, protected[waits](fn, ...))
end

--- To be called where a callback begins.
function World.enter() memory.off() end

-- ---- bodies -----------------------------------------------------------------------------------

-- An error that is an answer is noted and forgotten; the planned ones go on their way.
local function answered(self, statement, ok, err, ...)
  memory.off()
  if ok then return err, ... end
  local plan = self.oracle:plan_of(err)
  if statement.act == "raise" then
    error(err, 0)
  elseif plan then
    plan.observed = plan.observed + 1
  elseif type(err) == "string" and err:find("ECANCELED", 1, true)
    and self.context == "task" and statement.number % 2 == 0 then
    error(err, 0)
  elseif not self.oracle:excuses(err) then
    self.oracle:fault("in %s: %s: %s", statement.context, statement.act, tostring(err))
  end
end

--- The function that executes a statement, and begins those inside it.
function World:body(statement)
  return function()
    self:enter()
    if self.left <= 0 then return end
    self.left = self.left - 1
    local act, before = acts[statement.act], self.context
    self.context = statement.context
    self.ran[statement.context .. " x " .. statement.act] = true
    answered(self, statement, protected[act.waits or false](act.run, self, statement.number))
    self.context = before
    for _, inner in ipairs(statement.inside) do self:begin(inner) end
  end
end

--- Arranges that a statement is done in its context.
function World:begin(statement)
  if self.left <= 0 then return end
  local body = self:body(statement)
  local ok, err = pcall(contexts[statement.context], self, body, statement.number)
  memory.off()
  if ok then return end
  if self.oracle:plan_of(err) then error(err, 0) end
  if not self.oracle:excuses(err) then
    self.oracle:fault("at the beginning of %s: %s", statement.context, tostring(err))
  end
end

--- Has a body run by the next callback of a kind.
function World:await(kind, body)
  local list = self.pending[kind] or {}
  self.pending[kind] = list
  list[#list + 1] = body
end

--- In a callback of that kind.
function World:run_pending(kind)
  self:enter()
  local list = self.pending[kind]
  local body = list and table.remove(list)
  if body then body() end
end

-- ---- making it --------------------------------------------------------------------------------

local function set_errors(self, loop)
  local function report(err)
    self:enter()
    self.oracle:saw(err, "on_error")
    self:run_pending("error_handler")
  end
  if self.program.errors == "raise" then
    loop:on_error("raise")
  elseif self.program.errors == "method" then
    loop.handle_callback_exception = function(_, _, err) report(err) end
  else
    loop:on_error(function(_, err) report(err) end)
  end
end

--- Whether the loop can be run here until some time is over.
function World:can_run()
  return not self.loop:running() and (self.in_clock or 0) == 0
end

--- A further loop; the first one is the world's.
function World:new_loop()
  local clock = self.program.clock
  if clock == "function" then
    clock = function()
      if self.pending.clock and #self.pending.clock > 0 then
        self.in_clock = (self.in_clock or 0) + 1 -- where time stands still
        self:run_pending("clock")
        self.in_clock = self.in_clock - 1
      end
      return time()
    end
  end
  local loop = assert(zmqloop.IOLoop{impl = self.backend, clock = clock})
  set_errors(self, loop)
  assert(loop:add_signal_handler(SIGNAL, function() self:run_pending("signal") end))
  self.loops[#self.loops + 1] = loop
  self.handles[loop] = "loop"
  return loop
end

--- A context: that of all links, or, one in four, an own.
function World:context_for(number)
  if number % 4 > 0 then return self.contexts[1] end
  local context = zmq.Context()
  self.contexts[#self.contexts + 1] = context
  return context
end

--- The context of green sockets.
function World:green_context()
  if not self.green then
    self.green = green.Context()
    self.contexts[#self.contexts + 1] = self.green
  end
  return self.green
end

--- Keeps a task for the end, when it must be done.
function World:keep(task, loop)
  self.tasks[#self.tasks + 1] = {task = task, loop = loop or self.loop}
  self.handles[task] = "task"
  return task
end

--- A link, as a number says.
function World:add_link(number)
  local link = Link.new(self, number)
  self.links[#self.links + 1] = link
  return link
end

local function new(program, backend, pipe)
  local self = setmetatable({
    program = program,
    backend = backend,
    pipe = pipe, -- {reader, writer}, files
    oracle = Oracle.new(),
    left = MOST_ACTS,
    hooks = 0, -- that wait for their instruction
    hooked = {}, -- coroutines that have had one
    ran = {},
    pending = {},
    loops = {}, contexts = {zmq.Context()}, links = {}, tasks = {}, timers = {}, periodics = {},
    futures = {}, streams = {}, sockets = {},
    handles = setmetatable({}, {__mode = "k"}), -- what must be collected at the end
    serial = 0,
    holders = {}, -- lock -> how many hold it
  }, World)
  self.loop = self:new_loop()
  self.locks = {zmqloop.Lock(), zmqloop.Lock()}
  self.semaphores = {zmqloop.Semaphore(2), zmqloop.BoundedSemaphore(1)}
  self.event, self.condition = zmqloop.Event(), zmqloop.Condition()
  self.queues = {}
  for i, queue in ipairs{zmqloop.Queue(), zmqloop.Queue(2), zmqloop.LifoQueue(3),
    zmqloop.PriorityQueue(0, function(a, b)
      self:run_pending("comparison")
      return a < b
    end)} do
    self.queues[i] = {queue = queue, store = self.oracle:new_store(tostring(queue))}
  end
  for i = 1, program.links do self:add_link(program.seed + i) end
  return self
end

-- ---- running it -------------------------------------------------------------------------------

--- The result of a run of the loop, outside all callbacks.
function World:returned(ok, ...)
  memory.off()
  if ok then return ... end
  local err = ...
  self.oracle:check(type(err) ~= "string" or not err:find("running", 1, true),
    "a loop at rest: %s", err)
  self.oracle:saw(err, "out of the loop")
end

--- One iteration of all loops that can; returns whether there is more to come.
function World:step(seconds)
  local pending = false
  for _, loop in ipairs(self.loops) do
    if not loop:closed() and not loop:running() then
      local handled, more = self:returned(self:call(false, loop.step, loop, seconds or 0))
      pending = pending or handled == nil or handled > 0 or more or loop:timeout() ~= nil
    end
  end
  return pending
end

--- Iterations until nothing is left to do, or until done() holds.
function World:settle(done)
  for i = 1, PATIENCE do
    local pending = self:step(i > 50 and 0.001 or 0)
    if done and done() then return true end
    if not pending and not done then return true end
  end
  return false
end

--- Runs the program.
function World:run()
  for _, statement in ipairs(self.program.statements) do
    local ok, err = pcall(self.begin, self, statement)
    if not ok then self.oracle:saw(err, "outside") end
    for _ = 1, statement.number % 4 do self:step() end
  end
end

-- ---- winding it up ----------------------------------------------------------------------------

local function all_arrived(self)
  return function()
    for _, link in ipairs(self.links) do
      if link:missing() > self.oracle.doubts then return false end
    end
    return true
  end
end

-- Does a task wait although what it waits for is there?
local function check_lines(self)
  for _, list in ipairs{self.locks, self.semaphores} do
    for _, lock in ipairs(list) do
      self.oracle:check(not tostring(lock):find("free, [1-9]"), "a wake-up was lost: %s",
        tostring(lock))
    end
  end
  self.oracle:check(not tostring(self.event):find("set, [1-9]"), "a wake-up was lost: %s",
    tostring(self.event))
  for _, entry in ipairs(self.queues) do
    for _, name in ipairs{"ready", "room"} do
      local semaphore = entry.queue[name]
      self.oracle:check(not tostring(semaphore):find("free, [1-9]"),
        "a wake-up was lost: %s of %s", tostring(semaphore), tostring(entry.queue))
    end
  end
end

-- A task whose loop was closed never ends.
local function all_done(self)
  return function()
    for _, entry in ipairs(self.tasks) do
      if not entry.task:done() and not entry.loop:closed() then return false end
    end
    return true
  end
end

local function look_at_tasks(self)
  for _, entry in ipairs(self.tasks) do
    local task = entry.task
    if not task:done() then
      self.oracle:check(entry.loop:closed(), "%s never ends: %s", tostring(task),
        task:traceback())
    else
      local err = task:error()
      local plan = self.oracle:plan_of(err)
      if plan then
        plan.observed = plan.observed + 1
      elseif err ~= nil and not self.oracle:excuses(err) then
        self.oracle:fault("a task has failed: %s", tostring(err))
      end
    end
  end
end

local function end_waits(self)
  for _, entry in ipairs(self.tasks) do entry.task:cancel() end
  for _, future in ipairs(self.futures) do future:cancel() end
  self.event:set()
  self.condition:notify_all()
end

local function empty_queues(self)
  for _, entry in ipairs(self.queues) do
    repeat
      local ok, item = pcall(entry.queue.get_nowait, entry.queue)
      if ok and item then entry.store:got(item) end
    until not ok or not item
    self.oracle:check(entry.queue:qsize() == 0, "%s has items left", tostring(entry.queue))
  end
end

-- A task that held one when its loop was closed holds it for ever.
local function check_locks(self)
  for _, lock in ipairs(self.locks) do
    local held, dropped = self.holders[lock] or {count = 0, loops = {}}, 0
    for loop, count in pairs(held.loops) do
      if loop:closed() then dropped = dropped + count end
    end
    self.oracle:check(held.count == dropped, "%s is held by %d at the end", tostring(lock),
      held.count)
    self.oracle:check(not lock:locked() or dropped > 0 or self.oracle.doubts > 0, "%s at the end",
      tostring(lock))
  end
end

-- The loop works after all of it.
local function check_loop(self)
  local loop, called = self.loop, {}
  local bound = self.contexts[1]:socket("PAIR")
  local address = self:address()
  assert(bound:bind(address))
  local a = zmqloop.ZMQStream(bound, loop)
  local b = zmqloop.ZMQStream(self.contexts[1]:socket("PAIR"), loop)
  assert(b:connect(address))
  a:on_recv(function() called.message = true end)
  assert(b:send("x"))
  loop:add_callback(function() called.callback = true end)
  loop:call_later(0.001, function() called.timer = true end)
  self:settle(function() return called.message and called.callback and called.timer end)
  for _, what in ipairs{"message", "callback", "timer"} do
    self.oracle:check(called[what], "the loop does not work: no %s came", what)
  end
  a:close(0)
  b:close(0)
end

--- An address that is free.
function World:address()
  self.serial = self.serial + 1
  return ("inproc://seams-%d"):format(self.serial)
end

local function close_all(self)
  for _, periodic in ipairs(self.periodics) do periodic:stop() end
  for _, timer in ipairs(self.timers) do timer:cancel() end
  for _, link in ipairs(self.links) do link:close() end
  for _, stream in ipairs(self.streams) do stream:close(0) end
  for _, socket in ipairs(self.sockets) do socket:close(0) end
  for _, loop in ipairs(self.loops) do
    if not loop:closed() then
      loop:remove_handler(self.pipe[2])
      loop:remove_signal_handler(SIGNAL)
    end
  end
end

--- Ends all of it; each loop must have nothing left to do.
function World:wind_up()
  memory.off()
  memory.usual(false)
  self.left, self.to_fail, self.to_drop = 0, nil, nil
  for _, loop in ipairs(self.loops) do -- stop() before start() ends that at once
    if not loop:closed() then
      loop:stop()
      self:returned(pcall(loop.start, loop))
    end
  end
  for _, link in ipairs(self.links) do link:settle() end
  self:settle(all_arrived(self))
  self:settle()
  check_lines(self)
  end_waits(self)
  self:settle(all_done(self))
  end_waits(self)
  self:settle(all_done(self))
  look_at_tasks(self)
  empty_queues(self)
  check_locks(self)
  check_loop(self)
  close_all(self)
  self.oracle:check(self:settle(), "the loop never comes to rest")
  for _, loop in ipairs(self.loops) do
    if not loop:closed() then
      local left = require("zmqloop.core").loop_objects(loop)[1]
      self.oracle:check(left == nil, "the loop still has %s", tostring(left))
      if left == nil then self:returned(pcall(loop.run, loop)) end
    end
  end
end

--- Releases everything; forgotten errors are reported now.
function World:release()
  local loops, contexts_ = self.loops, self.contexts
  for _, name in ipairs{"tasks", "futures", "links", "timers", "periodics", "streams", "sockets",
    "queues", "locks", "semaphores", "pending", "holders"} do
    self[name] = {}
  end
  self.event, self.condition = nil, nil
  for _ = 1, 3 do
    collectgarbage()
    self:step()
  end
  for _, co in ipairs(self.hooked) do debug.sethook(co) end -- else Lua 5.1 keeps it for ever
  debug.sethook()
  for _, loop in ipairs(loops) do loop:close() end
  for _, context in ipairs(contexts_) do
    local ok, message = context:term()
    self.oracle:check(ok, "the context does not end: %s", tostring(message))
  end
  self.loops, self.loop, self.contexts, self.green, self.hooked = {}, nil, {}, nil, {}
end

--- After a full collection: is anything still there?
function World:check_collected()
  local handle, kind = next(self.handles)
  if handle then self.oracle:fault("a %s is not collected: %s", kind, tostring(handle)) end
end

return {new = new, SIGNAL = SIGNAL}
