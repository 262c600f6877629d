-- One end of a link: a stream under random traffic.
local Ledger = require("spec.conservation.ledger")
local zmqloop = require("zmqloop")
local zmq = zmqloop.zmq

local PEER = "peer"   -- how a ROUTER calls the other end
local LINGER = 20000 -- milliseconds

local Endpoint = {}
Endpoint.__index = Endpoint

--- An end of the type `kind` in the world. out and into are the ledgers of what it sends and of
-- what it receives, or nil. Does it connect again when the other end has gone?
--
-- It has no high-water mark where libzmq itself loses messages at one: a REP drops a reply if the
-- one before was not yet read; over ipc a receiver, when the sender closes, loses what the kernel
-- has for it.
local function new(world, kind, transport, out, into, reconnects)
  local options = {
    linger = LINGER,
    sndhwm = kind == "REP" and 0 or world.random(4),
    rcvhwm = transport == "ipc" and 0 or world.random(4),
    reconnect_ivl = reconnects and 5 or 100000, -- the address may be another link's by then
    router_mandatory = kind == "ROUTER" and 1 or nil,
    routing_id = kind == "DEALER" and PEER or nil,
  }
  local socket = assert(world.t.ctx:socket(kind, options))
  local self = setmetatable({
    world = world,
    kind = kind,
    out = out,
    into = into,
    stream = zmqloop.ZMQStream(socket, world.t.loop),
    replies = kind == "REP",
    asks = kind == "REQ",
    own = {},                     -- number -> true: it has a callback of its own
    last = {own = 0, on_send = 0}, -- the last number that was reported to each
    reports = 0,
  }, Endpoint)
  world.t:keep(self.stream)
  self:set_callbacks()
  self:listen()
  return self
end

function Endpoint:set_callbacks()
  local stream, counts = self.stream, self.world.counts
  stream:set_close_callback(function(unsent)
    self:still_open()
    self.closed = true
    if self.out then
      self.out.unsent = unsent
    elseif unsent ~= 0 then
      error(self.kind .. " had " .. unsent .. " unsent messages", 0)
    end
  end)
  stream:on_drain(function()
    self:still_open()
    counts.drained = counts.drained + 1
    self:send()
  end)
  stream:on_error(function(message, name)
    self:still_open()
    if name ~= "EHOSTUNREACH" then error(self.kind .. ": " .. message, 0) end
    self.out.refused = self.out.refused + 1
  end)
  self.tells = self.world.flip()
  if self.tells then
    stream:on_send_stream(function(same, frames, status, _, name)
      assert(same == stream)
      self:reported("on_send", frames, status, name)
    end)
  end
end

function Endpoint:still_open()
  if self.closed then error(self.kind .. " was called after its end", 0) end
end

-- Strings of what may be Frames, without the address of a ROUTER's peer.
function Endpoint:body(frames)
  local body = {}
  for i, frame in ipairs(frames) do body[i] = tostring(frame) end
  if self.kind == "ROUTER" then
    assert(table.remove(body, 1) == PEER)
  end
  return body
end

-- ---- receiving ---------------------------------------------------------------------------------

function Endpoint:ledger_of(body)
  if not self.sources then return self.into end
  local id = Ledger.read(body[1])
  return self.sources[id]
end

function Endpoint:got(frames)
  self:still_open()
  local body = self:body(frames)
  local ledger = self:ledger_of(body)
  ledger:deliver(ledger:check(body))
  if self.replies then self:send() end
  self.world:interfere()
end

--- Sets a receive callback, one of all kinds.
function Endpoint:listen()
  if not (self.into or self.sources) then return end
  local flip, stream = self.world.flip, self.stream
  local with_stream = flip()
  local options = {copy = flip(), unpack = flip(), concurrency = self.world.random(2)}
  local method = with_stream and stream.on_recv_stream or stream.on_recv
  method(stream, function(...)
    local arguments = {...}
    if with_stream then assert(table.remove(arguments, 1) == stream) end
    self:got(options.unpack and arguments or arguments[1])
    if self.world.random(30) == 1 then zmqloop.sleep(0.001) end
  end, options)
  self.listening = true
end

--- Reads what is there and discards it.
function Endpoint:discard()
  if self.listening or not self.into or self.replies or self.asks then return end
  local limit = self.world.random(5)
  local count = self.stream:flush(zmq.POLLIN, limit)
  assert(count <= limit)
  self.into:discard(count)
end

--- From now on it receives whatever comes.
function Endpoint:settle()
  self.settled = true
  self:listen()
  self.stream:resume()
end

-- ---- sending -----------------------------------------------------------------------------------

-- A message was reported to its own callback or to on_send.
function Endpoint:reported(whom, frames, status, name)
  self:still_open()
  local number = self.out:check(self:body(frames))
  if number <= self.last[whom] then
    error(("%s: %d reported after %d"):format(self.kind, number, self.last[whom]), 0)
  end
  self.last[whom] = number
  self.reports = self.reports + (whom == "on_send" and 1 or 0)
  self.world.counts.reports = self.world.counts.reports + 1
  if not status then
    assert(name == "EHOSTUNREACH" and self.kind == "ROUTER", name)
    if whom == "own" or not self.own[number] then -- else its own callback has counted it
      self.out.refused = self.out.refused + 1
    end
  end
  assert(whom ~= "own" or self.own[number])
  self.world:interfere()
end

-- The options of a send: nil, a callback or a table; whether there is a callback.
function Endpoint:options()
  local choice = self.world.random(7)
  local function callback(frames, status, _, name) self:reported("own", frames, status, name) end
  if choice == 1 then return callback, true end
  if choice == 2 then return {callback = callback, track = true}, true end
  if choice == 3 then return {track = true} end
  if choice == 4 then return {flags = zmq.DONTWAIT, copy = false} end
end

--- Sends the next message; it may be refused. Returns whether it was accepted.
function Endpoint:send()
  if not self.out or self.closed or self.mute then return false end
  local random, counts = self.world.random, self.world.counts
  local number = self.out.accepted + 1
  local frames = self.out:frames(number)
  if random(6) == 1 then frames[#frames] = zmq.Frame(frames[#frames]) end
  if self.kind == "ROUTER" then table.insert(frames, 1, PEER) end
  local options, has_callback = self:options()
  local accepted, message, name
  if #frames == 1 then
    accepted, message, name = self.stream:send(frames[1], options)
  else
    accepted, message, name = self.stream:send_multipart(frames, options)
  end
  if accepted then
    self.out.accepted = number
    self.own[number] = has_callback
    if accepted ~= true then self.world:track(accepted) end
  elseif name == "EAGAIN" or name == "ESHUTDOWN"
    or name == "EHOSTUNREACH" and self.kind == "ROUTER" then
    counts.refused = counts.refused + 1
  else
    error(message, 0)
  end
  return accepted and true
end

-- ---- whatever may happen to it -----------------------------------------------------------------

local acts = {}

function acts:send()
  if self.replies then return end
  for _ = 1, self.world.random(20) do self:send() end
end

function acts:pause() if not self.settled then self.stream:pause() end end

function acts:resume() self.stream:resume() end

acts.listen = Endpoint.listen

function acts:deafen()
  if self.settled or self.replies then return end
  self.stream[self.world.flip() and "stop_on_recv" or "on_recv"](self.stream, nil)
  self.listening = false
end

acts.discard = Endpoint.discard

function acts:flush()
  local random = self.world.random
  local masks = {zmq.POLLOUT, zmq.POLLIN, zmq.POLLIN + zmq.POLLOUT}
  local mask = self.listening and masks[random(3)] or zmq.POLLOUT
  local limit = self.world.flip() and random(10) - 1 or nil
  local count = self.stream:flush(mask, limit)
  assert(not limit or count <= limit)
  self.world.counts.flushes = self.world.counts.flushes + 1
end

function acts:tune()
  local random = self.world.random
  self.stream:set_batch(random(50))
  self.stream:set_priority(random(7) - 4)
  if not self.replies then
    self.stream:set_send_hwm(random(0, 8), self.world.flip() and random(0, 5000) or nil)
  end
end

-- Queries of libzmq consume its signals.
function acts:look()
  local stream = self.stream
  assert(stream:sending() == (stream:queued() > 0))
  assert(stream.socket:poll(0, zmq.POLLIN + zmq.POLLOUT))
  assert(stream.socket:get("events"))
end

-- What the stream would have received.
function acts:steal()
  if not self.into or self.replies or self.asks then return end
  local frames = self.stream.socket:recv_multipart(zmq.DONTWAIT, self.world.flip())
  if frames then self:got(frames) end
end

local names = {}
for name, weight in pairs{
  send = 10, pause = 1, resume = 2, listen = 2, deafen = 1, discard = 2, flush = 4, tune = 2,
  look = 2, steal = 1,
} do
  for _ = 1, weight do names[#names + 1] = name end
end
table.sort(names) -- the same in each run

--- Does something to it.
function Endpoint:act()
  if self.closed then return end
  acts[names[self.world.random(#names)]](self)
end

--- Closes it; with a linger of 0 libzmq drops what it has.
function Endpoint:close(linger)
  local queued = self.stream:queued()
  local unsent = self.stream:close(linger)
  assert(unsent <= queued and self.closed)
  assert(not self.out or self.out.unsent == unsent)
  assert(self.stream:queued() == 0 and not self.stream:sending() and not self.stream:receiving())
end

--- Whether all messages that libzmq took were reported, where on_send was called for them.
function Endpoint:all_reported()
  return not self.tells or not self.out or self.reports == self.out.accepted - self.out.unsent
end

function Endpoint:__tostring()
  return ("%s %s sends %s"):format(self.kind, tostring(self.stream), tostring(self.out))
end

return {new = new}
