-- Two ends in one process, and the messages between them. A link lives until one end is closed or
-- drained; then everything that this end has handed over must arrive.
--
-- When a connection is closed with data unread, the kernel discards what went the other way as
-- well. So an end over tcp or ipc is closed only after it has received everything.
local Endpoint = require("spec.conservation.endpoint")

local Link = {}
Link.__index = Link

-- Types of the ends; whether the second one sends too.
local kinds = {
  {"PUSH", "PULL", false}, {"PAIR", "PAIR", true}, {"DEALER", "DEALER", true},
  {"DEALER", "ROUTER", true}, {"REQ", "REP", true},
}
local transports = {"inproc", "ipc", "tcp"}

local function new(world)
  local kind = kinds[world.random(#kinds)]
  local there = world:ledger()
  local back = kind[3] and world:ledger() or nil
  local transport = transports[world.random(3)]
  local ends = {
    Endpoint.new(world, kind[1], transport, there, back),
    Endpoint.new(world, kind[2], transport, back, there),
  }
  local first = world.random(2)
  local endpoint = world.t:bind(ends[first].stream, transport)
  assert(ends[3 - first].stream:connect(endpoint))
  local quiet = transport ~= "inproc" and (kind[1] == "PAIR" or kind[1] == "DEALER")
  return setmetatable({world = world, ends = ends, endpoint = endpoint, quiet = quiet}, Link)
end

function Link:act()
  self.ends[self.world.random(2)]:act()
end

--- Begins to end it.
function Link:finish()
  local which = self.ends[2].out and self.world.random(2) or 1
  self.ender, self.other = self.ends[which], self.ends[3 - which]
  self.other:settle()
  if self.quiet then
    self.ender:settle()
    self.other.mute = true
  else
    self:finish_ender()
  end
end

-- Closes or drains it. The other end receives the rest.
function Link:finish_ender()
  local random, counts = self.world.random, self.world.counts
  local ender = self.ender
  self.ending = true
  if random(2) == 1 then
    counts.closes = counts.closes + 1
    ender:close()
    return
  end
  counts.drains = counts.drains + 1
  self.without_limit = random(2) == 1
  if self.without_limit then ender:settle() end -- REQ has to get its replies
  local unsent = ender.stream:drain(not self.without_limit and random(20) / 1000 or nil)
  if unsent ~= true and unsent ~= ender.out.unsent then
    error(("drain returned %s, the close callback was told %s"):format(tostring(unsent),
      tostring(ender.out.unsent)), 0)
  end
end

function Link:__tostring()
  return ("%s: %s - %s"):format(self.endpoint, tostring(self.ends[1]), tostring(self.ends[2]))
end

--- Whether it is over.
function Link:tend()
  local ender, other = self.ender, self.other
  if ender and not self.ending and other.out:missing() == 0 then self:finish_ender() end
  if not ender or not ender.closed or ender.out:missing() > 0 then return false end
  if self.without_limit then
    assert(ender.out.unsent == 0 and ender:all_reported(), "drain() without a limit left something")
  end
  if not other.closed then other:close(0) end
  if other.out then
    other.out.closed = other.out:missing()
    assert(other.out.closed >= 0)
  end
  return true
end

return {new = new}
