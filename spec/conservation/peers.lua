-- Processes that receive from this one or send to it, and are killed and restarted.
--
-- A receiver writes the number of each message to a file, which survives it. A lost message must
-- have been with libzmq, handed over before the connection was known to be gone.
local Endpoint = require("spec.conservation.endpoint")

local SINK = [[
  local how, endpoint, path, id = ...
  local ledger = require("spec.conservation.ledger").new(tonumber(id))
  local file = assert(io.open(path, "a"))
  file:setvbuf("no")
  local loop, ctx = new_loop(), zmqloop.zmq.Context()
  local hwm = endpoint:find("^ipc") and 0 or 2
  local pull = zmqloop.ZMQStream(ctx:socket("PULL", {rcvhwm = hwm, [how] = endpoint}), loop)
  local count = 0
  pull:on_recv(function(frames)
    local ok, number = pcall(ledger.check, ledger, frames)
    file:write(tostring(number) .. "\n")
    if not ok then os.exit(1) end
    count = count + 1
    if count % 50 == 0 then
      pull:pause()
      loop:call_later(0.002, pull.resume, pull)
    end
  end)
  loop:start()
]]

local SOURCE = [[
  local how, endpoint, path, id, count = ...
  local ledger = require("spec.conservation.ledger").new(tonumber(id))
  local loop, ctx = new_loop(), zmqloop.zmq.Context()
  local push = zmqloop.ZMQStream(ctx:socket("PUSH", {
    sndhwm = 2, linger = -1, [how] = endpoint}), loop)
  push:set_send_hwm(5)
  local number = 1
  local function feed()
    while number <= tonumber(count) and push:send_multipart(ledger:frames(number)) do
      number = number + 1
    end
    if number > tonumber(count) then loop:stop() end
  end
  push:on_drain(feed)
  loop:add_callback(feed)
  loop:start()
  assert(push:drain() == 0)
  ctx:term()
  local file = assert(io.open(path, "a"))
  file:write(count, "\n")
  file:close()
]]

local STARTED_WITHIN = 20 -- seconds

local Peer = {}
Peer.__index = Peer

-- A process to come, and our end of its link. how is what the process does: "bind" or "connect".
local function new_peer(world, kind, out, how)
  local transport = how == "bind" and "ipc" or "tcp"
  local self = setmetatable({
    world = world,
    id = out and out.id,
    near = Endpoint.new(world, kind, transport, out, nil, true),
    how = how,
    state = "down",
  }, Peer)
  local stream = self.near.stream
  if how == "bind" then
    self.address = world.t:address(transport)
    assert(stream:connect(self.address))
  else
    self.address = world.t:bind(stream, transport)
  end
  assert(stream:monitor(function(event) self:connection(event.name) end))
  return self
end

-- Runs the process, until it is killed or has ended by itself.
function Peer:start(source, ...)
  self.path = self.world.t:tmpname()
  self.file = nil
  self.state = "starting"
  local child = self.world.t:child(source, {self.how, self.address, self.path, ...}, 600)
  self.child = child
  self.world.t.loop:call_later(STARTED_WITHIN, function()
    if self.child == child and self.state == "starting" then self:fail("has not begun") end
  end)
end

function Peer:fail(what)
  self.child:kill("KILL")
  error(("a process %s: %s"):format(what, (self.child:finish())), 0)
end

-- There may be further connections, which fail, to a process whose end is not yet complete.
function Peer:connection(event)
  if event == "HANDSHAKE_SUCCEEDED" and self.state == "starting" then
    self.state = "up"
    if self.mortal then
      self.world.t.loop:call_later(self.world.random(100) / 1000, self.kill, self)
    end
  elseif event == "DISCONNECTED" and (self.state == "up" or self.state == "killed") then
    local killed = self.state == "killed"
    self.state = "gone"
    if killed then self:gone() else self:left() end
  end
end

function Peer:kill()
  if self.state ~= "up" or not self.mortal then return end
  self.world.counts.kills = self.world.counts.kills + 1
  self.state = "killed"
  self.child:kill("KILL")
  self.child:finish()
end

--- The next line of the process's file, or nil.
function Peer:line()
  self.file = self.file or io.open(self.path)
  return self.file and self.file:read("*l")
end

local function describe(peer)
  return ("a process that %ss, %s: %s"):format(peer.how, peer.state, tostring(peer.near))
end

-- ---- one that receives -------------------------------------------------------------------------

local Sink = setmetatable({__tostring = describe}, {__index = Peer})
Sink.__index = Sink

local function new_sink(world, how)
  local self = setmetatable(new_peer(world, "PUSH", world:ledger(), how), Sink)
  self.mortal, self.excused = true, 0
  self:start(SINK, self.id)
  return self
end

-- What was handed over until now.
function Sink:handed()
  return self.near.out.accepted - self.near.stream:queued()
end

-- What an end that has connected hands over from now on waits for the next connection. One that is
-- bound has a queue for each connection, and may use the old one for a moment more.
function Sink:gone()
  local excused = self.how == "bind" and self:handed()
  self.world.t.loop:call_later(self.world.random(30) / 1000, function()
    self:read()
    self.excused = excused or self:handed()
    self:start(SINK, self.id)
  end)
end

-- It ends by itself only when it is wrong.
function Sink:left() self:fail("has ended") end

function Sink:read()
  local line = self:line()
  while line do
    self.near.out:deliver(assert(tonumber(line), line), self.excused)
    line = self:line()
  end
end

function Sink:act() self.near:act() end

function Sink:finish() self.mortal = false end

--- Whether it is over: all that was handed over has arrived.
function Sink:tend()
  local near = self.near
  self:read()
  if self.mortal or self.state ~= "up" then return false end
  if not self.draining then
    near.stream:set_send_hwm(0)
    assert(near:send()) -- what was lost came before it
    near:settle()
    self.draining = true
    near.stream:drain()
  end
  if not near.closed or near.out:missing() > 0 then return false end
  assert(near.out.unsent == 0 and near:all_reported())
  self.child:kill("KILL")
  self.child:finish()
  return true
end

-- ---- one that sends ----------------------------------------------------------------------------

local Source = setmetatable({__tostring = describe}, {__index = Peer})
Source.__index = Source

local function new_source(world, how)
  local self = setmetatable(new_peer(world, "PULL", nil, how), Source)
  self.near.sources = {}
  self.near:listen()
  self.mortal = true
  self:begin()
  return self
end

function Source:begin()
  self.sent = nil
  self.ledger = self.world:ledger()
  self.near.sources[self.ledger.id] = self.ledger
  self:start(SOURCE, self.ledger.id, self.world.random(2000))
end

-- How much a killed peer has sent is unknown; what arrived is in order, from the first on, and each
-- once. But it may have finished before.
function Source:gone()
  self.world.t.loop:call_later(self.world.random(30) / 1000, function()
    self:read()
    if self.state == "gone" and not self.sent then self:begin() end
  end)
end

function Source.left() end

function Source:read()
  self.sent = self.sent or tonumber(self:line())
end

function Source:act() self.near:act() end

function Source:finish()
  self.mortal = false
  self.near:settle()
end

--- Whether it is over: one that was not killed has ended, and all it sent has come.
function Source:tend()
  self:read()
  if not self.sent or self.ledger.delivered < self.sent then return false end
  assert(self.ledger.delivered == self.sent)
  self.child:finish()
  if self.mortal then
    self:begin()
    return false
  end
  self.near:close(0)
  return true
end

return {new_sink = new_sink, new_source = new_source}
