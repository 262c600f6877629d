-- Random programs, run by the loop and by a model of it that is a page of plain Lua: both must make
-- the same calls in the same order. The model follows "One iteration" in docs/readiness.md.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local PROGRAMS = tonumber(os.getenv("ZMQLOOP_MODEL_PROGRAMS") or 10000)
local BACKENDS = helper.backend and {helper.backend} or {"epoll", "poll"}

-- ---- the model -----------------------------------------------------------------

local Model = {}
Model.__index = Model

local function new_model()
  return setmetatable({
    now = 0,
    starts = 0,
    callbacks = {},
    timers = {},
    handler = nil, -- of the one descriptor, which is always ready
    stopping = false,
  }, Model)
end

function Model:add_callback(fn) self.callbacks[#self.callbacks + 1] = fn end

function Model:start_timer(timer, delay)
  self.starts = self.starts + 1
  timer.deadline, timer.start = self.now + delay, self.starts
  timer.active, timer.due = true, false
end

function Model:call_later(delay, fn)
  local timer = {fn = fn}
  self.timers[#self.timers + 1] = timer
  self:start_timer(timer, delay)
  return timer
end

function Model.cancel(_, timer) timer.active, timer.due = false, false end
function Model:again(timer, delay) self:start_timer(timer, delay) end
function Model:watch(fn) self.handler = self.handler or fn end
function Model:close() self.handler = nil end
function Model:stop() self.stopping = true end
function Model:advance(seconds) self.now = self.now + seconds end
function Model:time() return self.now end

function Model:next_deadline()
  local first
  for _, timer in ipairs(self.timers) do
    if timer.active and (not first or timer.deadline < first) then first = timer.deadline end
  end
  return first
end

function Model:collect()
  local due = {}
  for _, timer in ipairs(self.timers) do
    if timer.active and timer.deadline <= self.now then
      timer.due = true
      due[#due + 1] = timer
    end
  end
  table.sort(due, function(a, b)
    if a.deadline ~= b.deadline then return a.deadline < b.deadline end
    return a.start < b.start
  end)
  local callbacks = self.callbacks
  self.callbacks = {}
  return callbacks, due
end

function Model:iterate()
  local callbacks, due = self:collect()
  for _, fn in ipairs(callbacks) do fn() end
  for _, timer in ipairs(due) do
    if timer.due then -- neither cancelled nor started again meanwhile
      timer.due, timer.active = false, false
      timer.fn()
    end
  end
  if self.stopping then return end
  if self.handler then
    self.handler()
  elseif #self.callbacks == 0 then
    self.now = math.max(self.now, self:next_deadline() or self.now)
  end
end

function Model:run()
  while not self.stopping and (#self.callbacks > 0 or self.handler or self:next_deadline()) do
    self:iterate()
  end
  self.stopping = false
end

-- ---- the loop, with the model's methods --------------------------------------------

local Real = {}
Real.__index = Real

local function new_real(backend)
  local loop = zmqloop.IOLoop{impl = backend, clock = "virtual"}
  loop:on_error(function() end)
  local path = os.tmpname()
  os.remove(path)
  assert(os.execute("mkfifo " .. path))
  return setmetatable({
    loop = loop,
    began = 0,
    path = path,
    file = nil, -- the fifo, always ready to be written to, while it is watched
    closes = 0,
  }, Real)
end

-- Time begins anew for each program, at a whole second: sums stay exact.
function Real:begin()
  self.loop:advance(math.ceil(self.loop:time()) - self.loop:time())
  self.began = self.loop:time()
end

function Real:add_callback(fn) self.loop:add_callback(fn) end
function Real:call_later(delay, fn) return self.loop:call_later(delay, fn) end
function Real:cancel(timer) self.loop:remove_timeout(timer) end
function Real.again(_, timer, delay) timer:again(delay) end
function Real:watch(fn)
  if not self.file then
    self.file = assert(io.open(self.path, "r+"))
    assert(self.loop:add_handler(self.file, fn, "w"))
  end
end

-- Before or behind the back of the loop; the next one gets the number again.
function Real:close()
  local file = self.file
  self.file, self.closes = nil, self.closes + 1
  if not file then return end
  if self.closes % 2 == 0 then file:close() end
  self.loop:remove_handler(file)
  if self.closes % 2 == 1 then file:close() end
end

function Real:stop() self.loop:stop() end
function Real:advance(seconds) self.loop:advance(seconds) end
function Real:time() return self.loop:time() - self.began end
function Real:run() self.loop:run() end

-- ---- programs ------------------------------------------------------------------------

-- Not math.random: the same programs on every Lua.
local function generator(seed)
  return function(n)
    seed = (seed * 16807) % 2147483647
    return seed % n
  end
end

local KINDS = {"callback", "callback", "timer", "timer", "timer", "cancel", "again", "raise",
  "stop", "advance", "watch", "close"}
local CALLING = {callback = true, timer = true, watch = true}

-- A list of operations, each of which may bring others along, which its call does.
local function program(random, depth)
  local operations = {}
  for i = 1, 1 + random(depth > 0 and 3 or 6) do
    local kind = KINDS[1 + random(#KINDS)]
    operations[i] = {
      kind = kind,
      which = random(8),
      delay = random(4) / 2, -- halves are exact, and equal deadlines frequent
      body = CALLING[kind] and depth < 3 and program(random, depth + 1) or {},
    }
  end
  return operations
end

-- Does the operations on a loop; returns the trace of calls and times.
local function trace_of(loop, operations)
  local trace, timers, calls = {}, {}, 0
  local perform

  local function call_of(operation, id)
    return function()
      calls = calls + 1
      trace[#trace + 1] = ("%s@%g"):format(id, loop:time())
      if calls < 60 then perform(operation.body, id) end
    end
  end

  local act = {}
  function act.callback(operation, id) loop:add_callback(call_of(operation, id)) end
  function act.timer(operation, id)
    timers[#timers + 1] = loop:call_later(operation.delay, call_of(operation, id))
  end
  function act.cancel(operation)
    if #timers > 0 then loop:cancel(timers[1 + operation.which % #timers]) end
  end
  function act.again(operation)
    if #timers > 0 then loop:again(timers[1 + operation.which % #timers], operation.delay) end
  end
  function act.stop() loop:stop() end
  function act.close() loop:close() end

  -- The handler closes itself after some calls: else nothing ends.
  function act.watch(operation, id)
    local call, left = call_of(operation, id), 1 + operation.which % 3
    loop:watch(function()
      left = left - 1
      if left == 0 then loop:close() end
      call()
    end)
  end

  function perform(list, parent)
    for i, operation in ipairs(list) do
      local id = parent .. "." .. i
      if operation.kind == "raise" then
        if parent ~= "main" then error("raised at " .. id, 0) end
      elseif operation.kind == "advance" then
        if parent ~= "main" then loop:advance(operation.delay) end
      else
        act[operation.kind](operation, id)
      end
    end
  end

  perform(operations, "main")
  local before
  repeat -- each stop ends one run; two that did nothing are the end
    before = #trace
    loop:run()
    loop:run()
  until #trace == before
  return table.concat(trace, " ")
end

-- The model has no one to catch errors.
local function protect(model)
  for _, name in ipairs{"add_callback", "call_later", "watch"} do
    local method = Model[name]
    model[name] = function(self, ...)
      local arguments = {...}
      local last = #arguments
      local fn = arguments[last]
      arguments[last] = function() pcall(fn) end
      return method(self, arguments[1], arguments[2])
    end
  end
  return model
end

describe("the loop", function()
  it("makes the calls that the model makes, on each backend", function()
    local loops, called = {}, 0
    for i, backend in ipairs(BACKENDS) do loops[i] = new_real(backend) end
    for seed = 1, PROGRAMS do
      local operations = program(generator(seed), 0)
      local expected = trace_of(protect(new_model()), operations)
      for i, real in ipairs(loops) do
        real:begin()
        local found = trace_of(real, operations)
        if found ~= expected then
          assert.equal(expected, found, ("program %d on %s"):format(seed, BACKENDS[i]))
        end
      end
      called = called + select(2, expected:gsub("@", ""))
    end
    for _, real in ipairs(loops) do
      real.loop:close()
      os.remove(real.path)
    end
    assert.is_true(called > PROGRAMS, "the programs did something")
  end)
end)
