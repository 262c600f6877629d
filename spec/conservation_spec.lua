-- Random traffic, after which every message that was accepted was delivered exactly once and in
-- order, or was reported as unsent, or was with libzmq when its receiver was killed or closed.
--
-- Environment: ZMQLOOP_CONSERVATION_SECONDS, for each backend; with it the counts are printed.
-- ZMQLOOP_SEED: the seed, which a failure prints.
local helper = require("spec.helper")
local Ledger = require("spec.conservation.ledger")
local Link = require("spec.conservation.link")
local peers = require("spec.conservation.peers")
local service = require("spec.conservation.service")
local tasks = require("spec.conservation.tasks")

local GIVEN_SECONDS = tonumber(os.getenv("ZMQLOOP_CONSERVATION_SECONDS"))
local SECONDS = GIVEN_SECONDS or 1
local SEED = tonumber(os.getenv("ZMQLOOP_SEED"))
local BACKENDS = helper.backend and {helper.backend} or {"epoll", "poll"}

local LINKS = 8
local TASK_LINKS = 6 -- of green sockets
local DEEPEST = 3        -- acts inside callbacks inside acts
local PLANNED = "planned" -- an error of a callback
local PATIENCE_SECONDS = 30

local World = {}
World.__index = World

local function new_world(t, seed)
  local self = setmetatable({
    t = t,
    links = {},
    ledgers = {},
    trackers = {},
    depth = 0,
    failures = {},
    handlers = {}, -- called for each planned error
    PLANNED = PLANNED,
    counts = {
      tasks = 0, cancels = 0, memory = 0, replies = 0,
      links = 0, kills = 0, closes = 0, drains = 0, drained = 0, flushes = 0, refused = 0,
      reports = 0, errors = 0, trackers = 0,
    },
  }, World)
  math.randomseed(seed)
  self.random = math.random
  self.flip = function() return math.random(2) == 1 end
  -- Not always: LuaJIT compiles next to nothing meanwhile.
  self.short_memory = pcall(require, "faultalloc") and self.flip()
  t.loop:on_error(function(_, err, traceback)
    if err == PLANNED then
      self.counts.errors = self.counts.errors + 1
      for _, handler in ipairs(self.handlers) do
        local ok, failure = pcall(handler)
        if not ok and failure ~= PLANNED then
          self.failures[#self.failures + 1] = tostring(failure)
        end
      end
    elseif not tasks.is_planned(err) then
      self.failures[#self.failures + 1] = tostring(traceback)
    end
  end)
  return self
end

function World:ledger()
  local ledger = Ledger.new(#self.ledgers + 1)
  self.ledgers[ledger.id] = ledger
  return ledger
end

function World:track(tracker)
  self.counts.trackers = self.counts.trackers + 1
  self.trackers[#self.trackers + 1] = tracker
end

-- Something happens to some link.
function World:act()
  if self.depth < DEEPEST and #self.links > 0 then
    self.depth = self.depth + 1
    local link = self.links[self.random(#self.links)]
    local ok, err = xpcall(function() link:act() end, function(err)
      return err == PLANNED and err or debug.traceback(tostring(err), 2)
    end)
    self.depth = self.depth - 1
    if not ok and (self.depth > 0 or err ~= PLANNED) then error(err, 0) end
  end
end

--- In a callback: now and then something else happens, or an error.
function World:interfere()
  local choice = self.random(100)
  if choice <= 5 then
    self:act()
  elseif choice == 6 then
    self.t.loop:add_callback(self.act, self)
  elseif choice == 7 then
    self:finish_some()
  elseif choice == 8 then
    error(PLANNED, 0)
  end
end

function World:finish_some()
  if #self.links == 0 then return end
  local link = self.links[self.random(#self.links)]
  if not link.finishing and not link.lasts then
    link.finishing = true
    link:finish()
  end
end

-- Replaces the links that are over.
function World:tend(renew)
  for i = #self.links, 1, -1 do
    local link = self.links[i]
    if link:tend() then
      table.remove(self.links, i)
      if renew then self:open(link.is_green and tasks.new(self) or Link.new(self)) end
    end
  end
  for i = #self.trackers, 1, -1 do
    if self.trackers[i]:done() then table.remove(self.trackers, i) end
  end
  if self.failures[1] then error(self.failures[1], 0) end
end

function World:open(link, lasts)
  self.counts.links = self.counts.links + 1
  link.lasts = lasts
  self.links[#self.links + 1] = link
end

function World:run(seconds)
  local loop = self.t.loop
  for _ = 1, LINKS do self:open(Link.new(self)) end
  for _ = 1, TASK_LINKS do self:open(tasks.new(self)) end
  self:open(tasks.new(self, "process"), true)
  self:open(service.new(self), true)
  for _, how in ipairs{"bind", "connect"} do
    self:open(peers.new_sink(self, how), true)
    self:open(peers.new_source(self, how), true)
  end
  local ends = loop:time() + seconds
  local guard = loop:call_later(seconds + PATIENCE_SECONDS, function()
    self.failures[#self.failures + 1] = "a drain never ended"
    loop:stop()
  end)
  while loop:time() < ends do
    for _ = 1, self.random(4) do self:act() end
    loop:step(self.random(5) == 1 and 0.001 or 0)
    self:tend(true)
    if self.random(50) == 1 then self:finish_some() end
  end
  guard:cancel()
end

-- Lets all links come to their end.
function World:settle()
  for _, link in ipairs(self.links) do
    link.lasts = false
    if not link.finishing then
      link.finishing = true
      link:finish()
    end
  end
  local ends = self.t.loop:time() + PATIENCE_SECONDS
  while #self.links > 0 or #self.trackers > 0 do
    self.t.loop:step(0.005)
    self:tend(false)
    if #self.links == 0 then collectgarbage() end -- Frames hold what was sent
    if self.t.loop:time() > ends then error(self:leftovers(), 0) end
  end
end

function World:leftovers()
  local lines = {("%d links and %d trackers never came to their end"):format(#self.links,
    #self.trackers)}
  for _, link in ipairs(self.links) do lines[#lines + 1] = tostring(link) end
  return table.concat(lines, "\n")
end

-- The sums of all ledgers. A process that was killed cannot tell what it had accepted.
function World:sums()
  local sums = {accepted = 0, delivered = 0, discarded = 0, refused_later = 0, with_killed = 0,
    with_closed = 0, unsent = 0, from_processes = 0}
  local function add(name, number) sums[name] = sums[name] + number end
  for _, ledger in ipairs(self.ledgers) do
    if ledger.accepted == 0 then
      add("from_processes", ledger.delivered)
    else
      add("accepted", ledger.accepted)
      add("delivered", ledger.delivered)
      add("discarded", ledger.discarded)
      add("refused_later", ledger.refused)
      add("with_killed", ledger.killed)
      add("with_closed", ledger.closed)
      add("unsent", ledger.unsent)
    end
  end
  return sums
end

local function text_of(counts)
  local names, words = {}, {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do words[i] = name .. " " .. counts[name] end
  return table.concat(words, ", ")
end

describe("conservation", function()
  after_each(helper.cleanup)

  for _, backend in ipairs(BACKENDS) do
    it("every accepted message is delivered once, told unsent, or lost with a peer: " .. backend,
      helper.test(function(t)
        rawset(t, "loop", require("zmqloop").IOLoop{impl = backend})
        local seed = SEED or os.time() % 1000000
        local world = new_world(t, seed)
        local ok, err = xpcall(function()
          world:run(SECONDS)
          world:settle()
        end, function(err) return debug.traceback(tostring(err)) end)
        if not ok then error(("seed %d, %s: %s"):format(seed, backend, err), 0) end
        local sums = world:sums()
        assert.equal(sums.accepted, sums.delivered + sums.discarded + sums.refused_later
          + sums.with_killed + sums.with_closed + sums.unsent)
        assert.is_true(sums.delivered > 0 and world.counts.links > LINKS)
        if GIVEN_SECONDS then
          print(("%s, seed %d: %s; %s"):format(backend, seed, text_of(sums), text_of(world.counts)))
        end
      end))
  end
end)
