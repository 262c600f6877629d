-- What must hold: the messages of each link, the items of each queue, the holder of each lock, and
-- the errors that callbacks have raised.
--
-- A finalizer may run between any two lines of the watched code, and do the same to the same
-- object. So each operation has a beginning and an end, and only operations that do not overlap are
-- ordered.
local Shape = require("spec.conservation.ledger")

local Oracle = {}
Oracle.__index = Oracle

local function new()
  return setmetatable({
    now = 0,
    faults = {},
    planned = {}, -- errors: number -> {seen =, observed =, loose =}
    doubts = 0,   -- allocations that have failed
    copies = false, -- shield() may have copied errors of tasks, each of which is told
    ledgers = {},
    stores = {},
  }, Oracle)
end

function Oracle:tick()
  self.now = self.now + 1
  return self.now
end

--- Notes that something is wrong.
function Oracle:fault(text, ...)
  if #self.faults < 20 then self.faults[#self.faults + 1] = text:format(...) end
end

--- Faults unless it holds.
function Oracle:check(holds, text, ...)
  if not holds then self:fault(text, ...) end
  return holds
end

-- ---- errors -----------------------------------------------------------------------------------

-- Compares a field, as classes of errors do: no two of them have it.
local Failure = {__eq = function(a, b) return a.code == b.code end}

--- An error to raise: a text, an object, or one of which no text can be made.
function Oracle:plan(kind)
  local number = #self.planned + 1
  self.planned[number] = {seen = 0, observed = 0, loose = false}
  local text = ("planned error %d."):format(number)
  if kind == 1 then return text end
  return setmetatable({text = text}, kind == 2 and Failure
    or {__tostring = function() error("no text", 0) end})
end

local function number_of(err)
  local text = err
  if type(err) == "table" then text = rawget(err, "text") end
  return type(text) == "string" and tonumber(text:match("planned error (%d+)%."))
end

--- The record of an error, or nil if it was not planned.
function Oracle:plan_of(err)
  return self.planned[number_of(err)]
end

--- An error has come to where errors end.
function Oracle:saw(err, where)
  local plan = self:plan_of(err)
  if plan then
    plan.seen = plan.seen + 1
  elseif not self:excuses(err) then
    self:fault("%s: %s", where, tostring(err))
  end
end

-- What acts may be answered, by what others have done before.
local answers = {
  "is closed", "loop is closed", "already running", "cannot wait", "only inside a task",
  "set by on_recv", "already registered", "ECANCELED", "ETIMEDOUT", "EINTR: IOLoop stopped",
  "another loop than the task", "a task waits", "has a stream", "ETERM", "ENOTSOCK",
  "inside a callback", "while it runs", "inside its own", "task_done%(%) called too many",
  "attempt to yield", "EBUSY", "released too many times", "yield across", "is done already",
}

--- Whether the error is an answer that an act may have.
function Oracle:excuses(err)
  local text = type(err) == "string" and err or ""
  for _, answer in ipairs(answers) do
    if text:find(answer) then return true end
  end
  for _, lack in ipairs{"not enough memory", "ENOMEM", "stack overflow"} do
    if text:find(lack, 1, true) then return self.doubts > 0 end
  end
  return false
end

function Oracle:check_errors()
  for number, plan in ipairs(self.planned) do
    if not plan.loose then
      self:check(plan.seen <= 1 or self.copies, "the planned error %d was reported %d times",
        number, plan.seen)
      self:check(plan.seen + plan.observed >= 1 or self.doubts > 0,
        "the planned error %d was reported to nobody", number)
    end
  end
end

-- ---- messages of a link -----------------------------------------------------------------------

local Ledger = {}
Ledger.__index = Ledger

--- The messages that go one way.
function Oracle:new_ledger()
  local id = #self.ledgers + 1
  local ledger = setmetatable({
    oracle = self,
    id = id,
    shape = Shape.new(id),
    messages = {},
    delivered = 0,
    accepted = 0,
    doubtful = 0, -- unknown whether they were accepted
    unsent = 0,
    discarded = 0,
    excused = false, -- an end has gone, and what was under way with it
    latest = 0, -- the latest beginning of one that was delivered
  }, Ledger)
  self.ledgers[id] = ledger
  return ledger
end

--- A message is about to be sent: its record and its frames.
function Ledger:begin()
  local number = #self.messages + 1
  local message = {number = number, ended = math.huge, state = "sending", delivered = false}
  self.messages[#self.messages + 1] = message
  message.number = #self.messages
  message.began = self.oracle:tick()
  return message, self.shape:frames(message.number)
end

--- What became of it: "accepted", "refused", or "doubtful".
function Ledger:finish(message, state)
  message.state, message.ended = state, self.oracle:tick()
  if state == "refused" then
    self.oracle:check(not message.delivered, "link %d: message %d was refused and delivered",
      self.id, message.number)
  else
    local counter = state
    self[counter] = self[counter] + 1
  end
end

--- A message has come.
function Ledger:deliver(frames)
  local ok, number = pcall(self.shape.check, self.shape, frames)
  if not ok then return self.oracle:fault("%s", tostring(number)) end
  local message = self.messages[number]
  if not message then return self.oracle:fault("link %d: %d was never sent", self.id, number) end
  self.oracle:check(not message.delivered, "link %d: message %d came twice", self.id, number)
  self.oracle:check(message.state ~= "refused", "link %d: message %d was refused, and came",
    self.id, number)
  self.oracle:check(self.latest < message.ended, "link %d: message %d came late", self.id, number)
  message.delivered = true
  self.latest = math.max(self.latest, message.began)
  self.delivered = self.delivered + 1
end

--- How many have yet to come.
function Ledger:missing()
  if self.excused then return 0 end
  return self.accepted - self.delivered - self.unsent - self.discarded
end

function Ledger:check_end()
  self.oracle:check((self.returned or 0) == self.unsent or self.oracle.doubts > 0
    or not self.returned, "link %d: close() returned %s, and the close callback was told %d",
    self.id, tostring(self.returned), self.unsent)
  local missing = self:missing()
  self.oracle:check(missing <= self.oracle.doubts and missing >= -self.doubtful,
    "link %d: accepted %d (and perhaps %d), delivered %d, unsent %d, discarded %d", self.id,
    self.accepted, self.doubtful, self.delivered, self.unsent, self.discarded)
end

-- ---- items of a queue -------------------------------------------------------------------------

local Store = {}
Store.__index = Store

--- The items of a queue.
function Oracle:new_store(name)
  local store = setmetatable({oracle = self, name = name, items = {}}, Store)
  self.stores[#self.stores + 1] = store
  return store
end

--- An item to put: a number.
function Store:begin()
  local number = #self.items + 1
  self.items[number] = "putting"
  return number
end

--- What became of it: "in", "refused" or "doubtful".
function Store:finish(item, state)
  if self.items[item] == "got" then
    self.oracle:check(state ~= "refused", "%s: item %d was refused, and got", self.name, item)
  else
    self.items[item] = state
  end
end

--- An item was taken out.
function Store:got(item)
  local state = self.items[item]
  self.oracle:check(state == "in" or state == "putting" or state == "doubtful",
    "%s: item %s was got, and is %s", self.name, tostring(item), tostring(state))
  self.items[item] = "got"
end

function Store:check_end()
  local lost = 0
  for _, state in ipairs(self.items) do
    if state == "in" then lost = lost + 1 end
  end
  self.oracle:check(lost <= self.oracle.doubts, "%s: %d items were put and never got", self.name,
    lost)
end

--- After the end of all: looks at what was noted.
function Oracle:finish()
  for _, ledger in ipairs(self.ledgers) do ledger:check_end() end
  for _, store in ipairs(self.stores) do store:check_end() end
  self:check_errors()
end

return {new = new}
