-- A service whose callback fails before or after its reply, and whose error handler replies without
-- knowing which, and fails too. Each client gets the reply to its own request.
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local zmq = zmqloop.zmq

local CLIENTS = 3

local Service = {}
Service.__index = Service

-- The reply of the service, or of the handler of its errors.
local function reply(self, text)
  local request = self.request
  local sent, message, name = self.rep:send_multipart({request, text},
    self.world.random(4) == 1 and function() end or nil)
  if self.replied then
    assert(sent == nil and name == "EFSM", "a second reply was taken")
  elseif not sent then
    error(message, 0)
  end
  self.replied = true
end

local function serve(self, frames)
  local random = self.world.random
  self.request, self.replied = frames[1], false
  self.failing = self.rep
  local choice = random(4)
  if choice == 1 then error(self.world.PLANNED, 0) end
  if choice == 2 then zmqloop.sleep(0) end
  reply(self, "reply")
  if choice == 3 then error(self.world.PLANNED, 0) end
  if random(4) == 1 then reply(self, "again") end
  self.failing = nil
end

-- One of its errors is handled.
local function handle(self)
  if self.failing then
    self.failing = nil
    reply(self, "error")
    if self.world.random(3) == 1 then error(self.world.PLANNED, 0) end
  end
end

local function ask(self, client)
  client.number = client.number + 1
  local request = client.name .. ":" .. client.number
  assert(client.req:send(request))
  client.ledger.accepted = client.number
  local frames = client.req:recv_multipart()
  if #frames ~= 2 or frames[1] ~= request then
    error(("%s got the reply to %s"):format(request, tostring(frames[1])), 0)
  end
  client.ledger:deliver(client.number)
  self.world.counts.replies = self.world.counts.replies + 1
end

local function new(world)
  local self = setmetatable({world = world, clients = {}}, Service)
  local ctx = green.Context{linger = 0}
  world.t:keep{close = function() ctx:destroy(0) end}
  self.rep = zmqloop.ZMQStream(ctx:socket(zmq.REP), world.t.loop)
  local address = world.t:bind(self.rep)
  self.rep:on_recv(function(frames) serve(self, frames) end)
  world.handlers[#world.handlers + 1] = function() handle(self) end
  for i = 1, CLIENTS do
    local ledger = world:ledger()
    ledger.unsent = 0
    self.clients[i] = {
      name = tostring(ledger.id),
      number = 0,
      ledger = ledger,
      req = ctx:socket(zmq.REQ, {connect = address}),
    }
  end
  return self
end

function Service:act()
  local client = self.clients[self.world.random(CLIENTS)]
  if client.task or self.finishing then return end
  client.task = self.world.t.loop:spawn(function() ask(self, client) end)
  client.task:add_done_callback(function(task)
    client.task = nil
    if task.state ~= "result" then
      self.world.failures[#self.world.failures + 1] = tostring(task:error())
    end
  end)
end

function Service.finish() end

--- Whether it is over.
function Service:tend()
  if not self.finishing then return false end
  for _, client in ipairs(self.clients) do
    if client.task then return false end
  end
  for _, client in ipairs(self.clients) do client.req:close() end
  self.rep:close()
  return true
end

function Service:__tostring()
  return tostring(self.rep)
end

return {new = new}
