-- Two sockets and the messages that go from one to the other. The receiver has a callback, or tasks
-- wait for it, or both are green sockets.
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq

local PEER = "peer" -- how a ROUTER calls the other end

local kinds = {{"PUSH", "PULL"}, {"PAIR", "PAIR"}, {"DEALER", "ROUTER"}, {"DEALER", "DEALER"}}
local ways = {"callback", "callback", "task", "green"}

local Link = {}
Link.__index = Link

-- ---- messages ---------------------------------------------------------------------------------

--- A message has come.
function Link:got(frames)
  local body = {}
  for i, frame in ipairs(frames) do body[i] = tostring(frame) end
  if self.kind[2] == "ROUTER" then
    self.world.oracle:check(table.remove(body, 1) == PEER, "an envelope is wrong")
  end
  self.ledger:deliver(body)
end

local function sent(self, message, ok, answer, text, name)
  if ok then
    self.ledger:finish(message, answer and "accepted" or "refused")
    return answer, text, name
  end
  local refused = type(answer) == "string" and answer:find("is closed", 1, true)
  self.ledger:finish(message, refused and "refused" or "doubtful")
  error(answer, 0)
end

--- Sends the next message by one of the ways to do so: a function of the sender and the frames.
function Link:send(waits, method, options)
  local message, frames = self.ledger:begin()
  local out = self.out
  if type(options) == "function" then options = options(message) end
  return sent(self, message, self.world:call(waits, out[method], out, frames, options))
end

--- Sends the next message now, or has it queued.
function Link:send_now(options)
  if self.way == "green" then return self:send(false, "send_multipart", zmq.DONTWAIT) end
  return self:send(false, "send_multipart", options)
end

-- ---- callbacks --------------------------------------------------------------------------------

--- Sets a receive callback.
function Link:listen(number)
  if self.way ~= "callback" then return end
  local world = self.world
  self.into:on_recv(function(frames)
    world:enter()
    self:got(frames)
    world:run_pending("on_recv")
  end, {copy = number % 2 == 0, concurrency = 1 + number % 3})
end

local function set_callbacks(self)
  local world, out = self.world, self.out
  out:on_drain(function() world:run_pending("on_drain") end)
  out:on_send(function() world:run_pending("on_send") end)
  out:set_close_callback(function(unsent)
    world:enter()
    world.oracle:check(not self.closed_out, "a close callback was called twice")
    self.closed_out = true
    self.ledger.unsent = unsent
    world:run_pending("close_callback")
  end)
  for _, stream in ipairs{out, self.into} do
    stream:on_error(function(_, name)
      world:enter()
      world.oracle:check(name == "ENOTSOCK" or name == "ETERM" or world.oracle.doubts > 0,
        "on_error of a stream: %s", tostring(name))
      world:run_pending("stream_error")
    end)
  end
  self.into:set_close_callback(function()
    world:enter()
    self.ledger.excused = true
    world:run_pending("close_callback")
  end)
end

-- ---- its life ---------------------------------------------------------------------------------

local function new(world, number)
  local self = setmetatable({
    world = world,
    kind = kinds[number % #kinds + 1],
    way = ways[(number - number % 4) / 4 % #ways + 1],
    ledger = world.oracle:new_ledger(),
    closed_out = false,
  }, Link)
  local context = self.way == "green" and world:green_context() or world:context_for(number)
  self.context = context
  local hwm = 1 + number % 5
  local options = {linger = 1000, sndhwm = hwm, rcvhwm = hwm}
  self.into = assert(context:socket(self.kind[2], options))
  options.routing_id = self.kind[1] == "DEALER" and PEER or nil
  self.out = assert(context:socket(self.kind[1], options))
  local address = world:address()
  assert(self.into:bind(address))
  assert(self.out:connect(address))
  if self.way ~= "green" then
    self.out = zmqloop.ZMQStream(self.out, world.loop)
    self.into = zmqloop.ZMQStream(self.into, world.loop)
    set_callbacks(self)
    self:listen(number)
    world.handles[self.out], world.handles[self.into] = "stream", "stream"
  else
    world.handles[self.out], world.handles[self.into] = "green socket", "green socket"
  end
  return self
end

--- Its receiver goes, and what is under way to it.
function Link:close_into()
  self.ledger.excused = true
  self.into:close()
end

--- Its sender goes.
function Link:close_out(number)
  if self.way == "green" then
    self.closed_out = true
    self.out:close()
  elseif not self.out:closed() then
    self.ledger.returned = self.out:close(number % 2 == 0 and 1000 or nil)
  end
end

--- Its context ends, unless others have the same.
function Link:shut_down()
  if self.context == self.world.contexts[1] or self.way == "green" then return end
  self.ledger.excused = true
  self.context:shutdown()
end

--- Messages that have yet to come.
function Link:missing()
  return self.into:closed() and 0 or self.ledger:missing()
end

local function receive_all(self)
  local method = self.way == "green" and "recv_multipart" or "recv"
  repeat
    local frames = not self.into:closed() and self.into[method](self.into)
    if frames then self:got(frames) end
  until not frames
end

--- From now on all that comes is received.
function Link:settle()
  if self.into:closed() then
    self.ledger.excused = true
  elseif self.way == "callback" then
    self:listen(0)
    self.into:resume()
  elseif not self.world.loop:closed() then
    if self.way == "task" then self.into:resume() end
    self.world:keep(self.world.loop:spawn(receive_all, self))
  end
end

function Link:close()
  self.out:close(0)
  self.into:close(0)
end

return {new = new}
