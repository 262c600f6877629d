-- Conversations with a process that uses another binding, in both directions: every message is
-- counted, and compared with the expected one, frame by frame, on both sides. peer.py describes the
-- peer.
local assert = require("luassert")
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local security = require("spec.interop.security")

local unpack = table.unpack or unpack -- luacheck: std max

local SECONDS = 150
local BATCH = 500 -- messages sent per iteration, so that the loop lives on

-- As TAILS of peer.py and tail() of peer.c.
local TAILS = {}
for k = 0, 255 do
  local byte = string.char(k)
  local tail = {"", "a\0b" .. byte}
  for _ = 1, k % 4 do tail[#tail + 1] = byte:rep(k % 50) end
  TAILS[k] = tail
end

local function message(i, prefix)
  local frames = {}
  if prefix then frames[1] = prefix end
  frames[#frames + 1] = ("%d"):format(i)
  local tail = TAILS[i % 256]
  for j = 1, #tail do frames[#frames + 1] = tail[j] end
  return frames
end

-- Fails unless frames, without the first `skip` of them, are message i.
local function check(frames, i, skip)
  local tail = TAILS[i % 256]
  local good = #frames == skip + 1 + #tail and frames[skip + 1] == ("%d"):format(i)
  for j = 1, #tail do
    good = good and frames[skip + 1 + j] == tail[j]
  end
  if not good then error(("message %d is not what was sent"):format(i), 0) end
end

-- A conversation with a peer process; the spec's stream is self.stream.
local Talk = {}
Talk.__index = Talk

-- command starts the peer; credentials are of security.lua, or nil.
local function new_talk(t, command, transport, count, credentials)
  local self = setmetatable({
    t = t, command = command, transport = transport, count = count, verdict = false,
    credentials = credentials or security.none,
  }, Talk)
  self.control = t:stream("PAIR", {linger = 1000})
  self.control_endpoint = t:bind(self.control, "ipc")
  self.control:on_recv(function(frames)
    local word, rest = frames[1]:match("^(%S+) ?(.*)$")
    if word == "bound" then
      self.stream:connect(rest)
    elseif word == "synced" then
      self.synced = true
    elseif word == "done" then
      self.verdict = true
    else
      error("the peer says " .. rest, 0)
    end
  end)
  return self
end

-- Starts the peer, which binds or connects; the spec's stream does the other. The side that binds
-- is the server of the security. on_refusal, if given, is called for handshakes that fail because
-- of the credentials.
function Talk:begin(kind, peer_role, peer_kind, peer_binds, on_refusal)
  local t = self.t
  local options = self.credentials:options(not peer_binds)
  options.linger = 1000
  if not peer_binds then self.credentials:serve(t) end
  if kind == "PUB" or kind == "SUB" then options.sndhwm, options.rcvhwm = 0, 0 end
  if kind == "SUB" then options.subscribe = {""} end
  -- Else libzmq drops what exceeds the high-water mark.
  if kind == "ROUTER" then options.router_mandatory = true end
  if kind == "DEALER" then options.routing_id = "lua\0" end
  self.stream = t:stream(kind, options)
  if on_refusal then self.stream:monitor(on_refusal, "HANDSHAKE_FAILED_AUTH") end
  -- A DEALER introduces itself to a ROUTER; waits in the queue until connected.
  if kind == "DEALER" then self.stream:send("hello") end
  local how, endpoint
  if peer_binds then
    how, endpoint = "bind", t:address(self.transport)
  else
    how, endpoint = "connect", t:bind(self.stream, self.transport)
  end
  local words = {self.command}
  for _, word in ipairs{self.control_endpoint, peer_role, peer_kind, how, endpoint,
      ("%d"):format(self.count), unpack(self.credentials:words(peer_binds))} do
    words[#words + 1] = helper.quote(word)
  end
  self.peer = t:keep(helper.command(table.concat(words, " "), SECONDS))
  -- A peer that dies without a word closes its output; its last word, on
  -- another descriptor, may come after that.
  t.loop:add_handler(self.peer.file, function()
    t.loop:remove_handler(self.peer.file)
    self.gone = true
    local output = self.peer:finish()
    t.loop:call_later(2, function()
      if not self.verdict and not self.ended then error("the peer has gone: " .. output, 0) end
    end)
  end, zmqloop.IOLoop.READ)
end

-- Sends all messages, BATCH per iteration.
function Talk:flood(prefix)
  local count = self.count
  local i = 0
  local function batch()
    for _ = 1, math.min(BATCH, count - i) do
      i = i + 1
      assert(self.stream:send_multipart(message(i, prefix)))
    end
    if i < count then self.t.loop:add_callback(batch) end
  end
  batch()
end

-- Expects all messages; returns a function that tells whether they came.
function Talk:expect(skip)
  local count = self.count
  local i = 0
  self.stream:on_recv(function(frames)
    i = i + 1
    if i > count then error("more messages than were sent", 0) end
    check(frames, i, skip)
  end)
  return function() return i == count end
end

-- Waits until both sides are content.
function Talk:finish(complete)
  self.t:run_until(function()
    return self.verdict and (not complete or complete())
  end, SECONDS)
  self.control:send("bye")
  if not self.gone then self.t.loop:remove_handler(self.peer.file) end
  local output, status = self.peer:finish()
  assert.equal("", output)
  assert.equal(0, status)
end

-- {name, fn(talk, peer_binds)}
local cases = {}

-- Lua is `kind` and sends, the peer is `peer_kind` and receives.
local function streaming_to_peer(kind, peer_kind)
  return function(talk, peer_binds)
    if kind == "ROUTER" then
      local prefix
      talk:begin(kind, "receive", peer_kind, peer_binds)
      talk.stream:on_recv(function(frames)
        prefix = frames[1]
        assert(frames[2] == "hello" and prefix == "peer\0")
        talk:flood(prefix)
      end)
    else
      talk:begin(kind, "receive", peer_kind, peer_binds)
      talk:flood()
    end
    talk:finish()
    assert.equal(0, talk.stream:queued())
  end
end

local function streaming_from_peer(kind, peer_kind)
  return function(talk, peer_binds)
    talk:begin(kind, "send", peer_kind, peer_binds)
    local complete
    if kind == "ROUTER" then
      talk.stream:on_recv(function(frames)
        assert(frames[2] == "hello")
        complete = talk:expect(1)
      end)
      talk:finish(function() return complete and complete() end)
    else
      complete = talk:expect(0)
      talk:finish(complete)
    end
  end
end

cases[#cases + 1] = {"PUSH to PULL", streaming_to_peer("PUSH", "PULL")}
cases[#cases + 1] = {"PULL from PUSH", streaming_from_peer("PULL", "PUSH")}
cases[#cases + 1] = {"DEALER to ROUTER", streaming_to_peer("DEALER", "ROUTER")}
cases[#cases + 1] = {"ROUTER from DEALER", streaming_from_peer("ROUTER", "DEALER")}
cases[#cases + 1] = {"ROUTER to DEALER", streaming_to_peer("ROUTER", "DEALER")}
cases[#cases + 1] = {"DEALER from ROUTER", streaming_from_peer("DEALER", "ROUTER")}

-- A subscriber hears nothing before its subscription has come through, so the
-- publisher repeats "sync" until the other side has heard it.
cases[#cases + 1] = {"PUB to SUB", function(talk, peer_binds)
  talk:begin("PUB", "subscribe", "SUB", peer_binds)
  local sync
  sync = zmqloop.PeriodicCallback(function()
    if talk.synced then
      sync:stop()
      talk:flood()
    else
      talk.stream:send("sync")
    end
  end, 5, talk.t.loop)
  sync:start()
  talk:finish()
end}

cases[#cases + 1] = {"SUB from PUB", function(talk, peer_binds)
  talk:begin("SUB", "publish", "PUB", peer_binds)
  local i = 0
  talk.stream:on_recv(function(frames)
    if i == 0 and frames[1] == "sync" then
      if not talk.said then talk.control:send("synced") end
      talk.said = true
      return
    end
    i = i + 1
    check(frames, i, 0)
  end)
  talk:finish(function() return i == talk.count end)
end}

-- In lock-step.
cases[#cases + 1] = {"REQ to REP", function(talk, peer_binds)
  talk:begin("REQ", "reply", "REP", peer_binds)
  local i = 1
  talk.stream:on_recv(function(frames)
    check(frames, i, 0)
    i = i + 1
    if i <= talk.count then assert(talk.stream:send_multipart(message(i))) end
  end)
  talk.stream:send_multipart(message(1))
  talk:finish(function() return i == talk.count + 1 end)
end}

cases[#cases + 1] = {"REP to REQ", function(talk, peer_binds)
  talk:begin("REP", "request", "REQ", peer_binds)
  local i = 0
  talk.stream:on_recv(function(frames)
    i = i + 1
    check(frames, i, 0)
    assert(talk.stream:send_multipart(frames))
  end)
  talk:finish(function() return i == talk.count end)
end}

-- ---- definitions -------------------------------------------------------------

-- Either side binds, on one of the transports, for each pattern.
local function define_plain_talk(it, command, number, name, body, count)
  for _, transport in ipairs{"tcp", "ipc"} do
    local peer_binds = (number % 2 == 0) == (transport == "tcp")
    it(("%s over %s, the %s binding"):format(name, transport, peer_binds and "peer" or "spec"),
      helper.test(function(t) body(new_talk(t, command, transport, count), peer_binds) end))
  end
end

-- By who is the server. A REQ that is one gets nothing from libzmq 4.3.4: its session takes the
-- user's name, which the ZAP handler has given, for a bad reply.
local secured = {
  {"PUSH to PULL", {true, false}}, {"PULL from PUSH", {true, false}},
  {"ROUTER to DEALER", {true, false}}, {"REQ to REP", {true}}, {"REP to REQ", {false}},
}

local function define_secured_talks(it, command, mechanism, bodies, count)
  for _, each in ipairs(secured) do
    local name, servers = each[1], each[2]
    for _, peer_binds in ipairs(servers) do
      it(("%s with %s, the %s the server"):format(name, mechanism, peer_binds and "peer" or "spec"),
        helper.test(function(t)
          bodies[name](new_talk(t, command, "tcp", count, security[mechanism]()), peer_binds)
        end))
    end
  end

  for _, peer_binds in ipairs{true, false} do
    it(("%s is refused to a client that is someone else, the %s the server"):format(mechanism,
      peer_binds and "peer" or "spec"), helper.test(function(t)
        local talk = new_talk(t, command, "tcp", 1, security[mechanism](true))
        local refused
        talk:begin("PUSH", "receive", "PULL", peer_binds, function(event)
          refused = event.value
        end)
        t:run_until(function() return refused end)
        assert.equal(400, refused) -- the ZAP handler's answer
        assert.is_false(talk.verdict)
        assert.is_true(peer_binds or talk.credentials.refused)
        talk.ended = true
      end))
  end
end

--- Defines by busted's `it` all talks with the peer that the command starts; count is how many
-- messages a flood has.
local function define(it, command, count)
  local bodies = {}
  for number, case in ipairs(cases) do
    local name, body = case[1], case[2]
    local in_turns = name:find("REQ") ~= nil
    define_plain_talk(it, command, number, name, body, in_turns and math.ceil(count / 2) or count)
    bodies[name] = body
  end
  for _, mechanism in ipairs{"plain", "curve"} do
    define_secured_talks(it, command, mechanism, bodies, math.ceil(count / 50))
  end
end

return {define = define}
