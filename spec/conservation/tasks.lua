-- Green sockets and the tasks that use them: messages sent whole, part by part and in lists of
-- parts, by several tasks at each end, which time out, are cancelled, fail and end in the middle of
-- a message. Some of these links have a proxy between the ends.
--
-- What send() reports as sent arrives once, whole, and in the order of its task; anything else does
-- not arrive. A message whose receiver fails or is cancelled in the middle of it is lost: that, and
-- nothing else, is missing.
local Ledger = require("spec.conservation.ledger")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local sleep = zmqloop.sleep
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local _, faultalloc = pcall(require, "faultalloc")

local PEER = "peer"   -- how a ROUTER calls the other end
local LINGER = 20000 -- milliseconds
local NOT_SENT = "EFSM: a task or callback sent the first" -- of a task that returns in the middle

local Tasks = {}
Tasks.__index = Tasks

local kinds = {
  {"PUSH", "PULL"}, {"PAIR", "PAIR"}, {"DEALER", "DEALER"}, {"DEALER", "ROUTER"},
  {"ROUTER", "DEALER"},
}
local transports = {"inproc", "ipc", "tcp"}

local function context_of(world)
  if not world.green then
    world.green = green.Context{linger = LINGER}
    world.t:keep{close = function() world.green:destroy(0) end}
  end
  return world.green
end

local function new_socket(world, kind)
  return assert(context_of(world):socket(kind, {
    sndhwm = world.random(4),
    rcvhwm = world.random(4),
    router_mandatory = kind == "ROUTER" and 1 or nil,
    routing_id = kind == "DEALER" and PEER or nil,
    reconnect_ivl = 100000, -- the address may be another link's by then
  }))
end

local PROXY = [[
  local front, back, commands = ...
  local zmq = zmqloop.zmq
  local ctx = zmq.Context()
  local control = ctx:socket("PAIR", {connect = commands})
  local pull = ctx:socket("PULL", {bind = front, rcvhwm = 2})
  local push = ctx:socket("PUSH", {bind = back, sndhwm = 2})
  assert(zmq.proxy(pull, push, nil, control))
]]

-- A proxy between the ends: "task", or "process" for zmq.proxy() in another one.
local function connect_by_proxy(self)
  local world = self.world
  if self.proxy_kind == "process" then
    local front, back = world.t:address("ipc"), world.t:address("ipc")
    self.control = assert(context_of(world):socket("PAIR"))
    local commands = world.t:bind(self.control, "ipc")
    self.child = world.t:child(PROXY, {front, back, commands}, 600)
    self.from:set("reconnect_ivl", 5)
    self.to:set("reconnect_ivl", 5)
    assert(self.from:connect(front) and self.to:connect(back))
    return
  end
  self.front, self.back = new_socket(world, "PULL"), new_socket(world, "PUSH")
  assert(self.from:connect(world.t:bind(self.front, transports[world.random(3)])))
  assert(self.to:connect(world.t:bind(self.back, transports[world.random(3)])))
end

--- A new link in the world; proxy_kind is "task", "process", or nil for what chance has it.
local function new(world, proxy_kind)
  local random = world.random
  local self = setmetatable({
    world = world,
    is_green = true,
    proxy_kind = proxy_kind or (random(4) == 1 and "task") or nil,
    senders = {},   -- each with its ledger, and its task, if it runs
    receivers = {},
    ledgers = {},   -- id -> ledger
  }, Tasks)
  self.kind = self.proxy_kind and kinds[1] or kinds[random(#kinds)]
  self.from, self.to = new_socket(world, self.kind[1]), new_socket(world, self.kind[2])
  if self.proxy_kind then
    connect_by_proxy(self)
  else
    local ends = random(2) == 1 and {self.from, self.to} or {self.to, self.from}
    assert(ends[2]:connect(world.t:bind(ends[1], transports[random(3)])))
  end
  for i = 1, random(3) do
    local ledger = world:ledger()
    ledger.unsent = 0
    self.ledgers[ledger.id] = ledger
    self.senders[i] = {ledger = ledger}
  end
  for i = 1, random(3) do self.receivers[i] = {} end
  return self
end

-- ---- one message -------------------------------------------------------------------------------

-- Between two parts: something else may happen, also the end of the task.
local function between(self, may_return)
  local choice = self.world.random(60)
  if choice == 1 then
    error(self.world.PLANNED, 0)
  elseif choice == 2 and may_return then
    return true
  elseif choice <= 20 then
    sleep(choice <= 17 and 0 or 0.001)
  end
end

-- Inside pcall: the call may make Lua's stack grow, which needs memory.
local function with_failure(n, method, ...)
  faultalloc.fail_once(n)
  return method(...)
end

-- A call that does not wait, now and then with little memory; one that raises has done nothing.
local function call_at_once(self, method, ...)
  if not self.world.short_memory or self.world.random(4) ~= 1 then
    return method(...)
  end
  local n = self.world.random(8)
  local ok, result, message, name = pcall(with_failure, n, method, ...)
  faultalloc.off()
  if not ok then
    if not tostring(result):find("memory", 1, true) then error(result, 0) end
    self.world.counts.memory = self.world.counts.memory + 1
    return nil, result, "EAGAIN"
  end
  return result, message, name
end

local function send_parts(self, frames)
  local random, from = self.world.random, self.from
  local i = 1
  repeat
    local count = random(3) == 1 and random(#frames - i + 1) or 1
    local flags = i + count <= #frames and zmq.SNDMORE or 0
    local data, method = frames[i], from.send
    if count > 1 or random(4) == 1 then
      data, method = {unpack(frames, i, i + count - 1)}, from.send_multipart
    elseif random(4) == 1 then
      data = zmq.Frame(data)
    end
    local sent, message, name
    if i == 1 and random(3) == 1 then
      sent, message, name = call_at_once(self, method, from, data, flags + zmq.DONTWAIT)
    else
      sent, message, name = method(from, data, random(2) == 1 and {flags = flags} or flags)
    end
    if not sent then return nil, message, name end
    i = i + count
    if i <= #frames and between(self, true) then return nil, "returned", "EAGAIN" end
  until i > #frames
  return true
end

local function send(self, sender)
  local random = self.world.random
  local number = sender.ledger.accepted + 1
  local frames = sender.ledger:frames(number)
  if self.kind[1] == "ROUTER" then table.insert(frames, 1, PEER) end
  local choice = random(3)
  local sent, message, name
  if choice == 1 then
    sent, message, name = call_at_once(self, self.from.send_multipart, self.from, frames,
      zmq.DONTWAIT)
  elseif choice == 2 then
    sent, message, name = self.from:send_multipart(frames)
  else
    sent, message, name = send_parts(self, frames)
  end
  if sent then
    sender.ledger.accepted = number
  elseif name ~= "EAGAIN" and not (name == "EHOSTUNREACH" and self.kind[1] == "ROUTER") then
    error(message, 0)
  end
end

-- The first part of a message has come, or all of it.
local function got(self, frame)
  local id, number = Ledger.read(tostring(frame))
  local ledger = self.ledgers[id]
  ledger:deliver(number)
  return ledger
end

-- If the task does not finish the message, nothing does.
local function receive_parts(self, receiver)
  local to, frames, ledger, has_address = self.to, {}, nil, false
  local flags = self.world.random(3) == 1 and zmq.DONTWAIT or nil
  repeat
    local frame, message, name
    if flags then
      frame, message, name = call_at_once(self, to.recv, to, flags)
    else
      frame, message, name = to:recv(nil, self.world.flip())
    end
    if frame then
      frames[#frames + 1] = tostring(frame)
      if self.kind[2] == "ROUTER" and not has_address then
        assert(table.remove(frames) == PEER)
        has_address = true
      elseif not ledger then
        ledger = got(self, frame)
        receiver.begun = ledger
      end
    elseif name ~= "EAGAIN" then
      error(message, 0)
    elseif not ledger and not has_address then
      return
    end
    local more = to:get("rcvmore") == 1
    if more and ledger then between(self, false) end
  until ledger and not more
  ledger:check(frames)
  receiver.begun = nil
end

local function receive_whole(self)
  local frames, message, name
  if self.world.random(3) == 1 then
    frames, message, name = call_at_once(self, self.to.recv_multipart, self.to, zmq.DONTWAIT)
  else
    frames, message, name = self.to:recv_multipart(nil, self.world.flip())
  end
  if not frames then
    if name ~= "EAGAIN" then error(message, 0) end
    return
  end
  for i, frame in ipairs(frames) do frames[i] = tostring(frame) end
  if self.kind[2] == "ROUTER" then assert(table.remove(frames, 1) == PEER) end
  got(self, frames[1]):check(frames)
end

local function receive(self, receiver)
  if self.world.random(2) == 1 then
    return receive_parts(self, receiver)
  end
  return receive_whole(self)
end

-- ---- tasks -------------------------------------------------------------------------------------

local function ended(self, who, task)
  who.task = nil
  if who.begun then
    who.begun.delivered = who.begun.delivered - 1
    who.begun.discarded = who.begun.discarded + 1
    who.begun = nil
  end
  local err = task.state == "error" and task:error()
  if err and err ~= self.world.PLANNED then
    self.world.failures[#self.world.failures + 1] = tostring(err)
  end
end

local function start(self, who, fn)
  if not who.task then
    self.world.counts.tasks = self.world.counts.tasks + 1
    who.task = self.world.t.loop:spawn(function() return fn(self, who) end)
    who.task:add_done_callback(function(task) ended(self, who, task) end)
  end
end

local function cancel(self, who)
  if who.task then
    self.world.counts.cancels = self.world.counts.cancels + 1
    who.task:cancel()
  end
end

local function relay(self)
  local ok, message = green.proxy(self.front, self.back)
  error(("the proxy has ended: %s %s"):format(tostring(ok), message), 0)
end

function Tasks:act()
  local random = self.world.random
  if self.closing then return end
  local choice = random(12)
  if choice == 1 then
    local all = random(2) == 1 and self.senders or self.receivers
    cancel(self, all[random(#all)])
  elseif choice == 2 then
    local milliseconds = ({-1, 0, 1, 5})[random(4)]
    if not self.finishing then
      self.from:set("sndtimeo", milliseconds)
      self.to:set("rcvtimeo", milliseconds)
    end
  elseif choice == 3 and self.front then
    self.relay = self.relay or {}
    cancel(self, self.relay)
  elseif choice <= 7 and not self.finishing then
    start(self, self.senders[random(#self.senders)], send)
  else
    start(self, self.receivers[random(#self.receivers)], receive)
  end
end

--- Whether this is what the loop is told when a task has returned in the middle of a message.
function Tasks.is_planned(err)
  return type(err) == "string" and err:find(NOT_SENT, 1, true) ~= nil
end

function Tasks:finish()
  self.to:set("rcvtimeo", -1)
  for _, sender in ipairs(self.senders) do cancel(self, sender) end
end

local function is_idle(all)
  for _, who in ipairs(all) do
    if who.task then return false end
  end
  return true
end

local function close(self)
  for _, socket in ipairs{self.from, self.to, self.front or self.from, self.back or self.to} do
    socket:close()
  end
  if self.control then
    assert(self.control:send("TERMINATE"))
    local output, status = self.child:finish()
    assert(status == 0, output)
    self.control:close()
  end
end

function Tasks:missing()
  local missing = 0
  for _, ledger in pairs(self.ledgers) do
    assert(ledger:missing() >= 0, tostring(ledger))
    missing = missing + ledger:missing()
  end
  return missing
end

--- Whether it is over: everything sent has arrived, and no task waits.
function Tasks:tend()
  if self.front and not self.closing then
    self.relay = self.relay or {}
    start(self, self.relay, relay)
  end
  if not self.finishing then return false end
  if not self.closing then
    for _, receiver in ipairs(self.receivers) do start(self, receiver, receive) end
    self.closing = is_idle(self.senders) and self:missing() == 0
    if self.closing then
      for _, receiver in ipairs(self.receivers) do cancel(self, receiver) end
      if self.relay then cancel(self, self.relay) end
    end
  end
  if not self.closing or not is_idle(self.receivers) or self.relay and self.relay.task then
    return false
  end
  assert(self:missing() == 0)
  close(self)
  return true
end

function Tasks:__tostring()
  local words = {("%s to %s%s"):format(self.kind[1], self.kind[2],
    self.proxy_kind and " by a proxy in a " .. self.proxy_kind or "")}
  for _, ledger in pairs(self.ledgers) do words[#words + 1] = tostring(ledger) end
  return table.concat(words, ", ")
end

return {new = new, is_planned = Tasks.is_planned}
