-- One of everything that a loop does, while the n-th call of one function fails: for every possible
-- n, and for some n all calls from the n-th on. Run by spec/failing_calls_spec.lua, which lists the
-- calls and their errors.
--
-- Arguments: call, error, "once" or "always", the path of a pipe. Prints a line for each rule that
-- was broken, and at the end how many runs there were and in how many a call failed.
local failcall, process = require("failcall"), require("process")
local green = require("zmqloop.green")

local zmq, ZMQStream = zmqloop.zmq, zmqloop.ZMQStream
local CALL, ERROR, HOW, FIFO = ...
local ALWAYS = 1000000 -- calls

-- A loop that has nothing to do must wait: with this many iterations it spins.
local MOST_ITERATIONS = 3000

-- How long a loop that has nothing to do waits at the end: long where that wait itself is to fail.
local LAST_WAIT = CALL == "epoll_pwait2" and 0.1 or 0.002

-- Only a run that has lost something waits so long.
local PATIENCE_SECONDS = 5

-- A run of the scenario: what was promised, what came, and what the program was told.
local Run = {}
Run.__index = Run

local function tell(self, part, what)
  self.told[part] = self.told[part] or tostring(what)
end

-- Passes on the results of a call that may fail as the API says: by nil, message, name, or by
-- raising. Notes for the part that it was told.
function Run:try(part, fn, ...)
  local ok, result, message, name = zmqloop.pcall(fn, ...)
  if not ok then
    tell(self, part, result)
    return nil
  elseif not result and message then
    tell(self, part, name or message)
  end
  return result
end

local PARTS = {}

-- Whether the program knows why the part may not be complete. That a handler cannot be watched
-- again after it has waited is told as the error of a callback.
function Run:was_told(name)
  return self.told[name] or name == "descriptor" and self.told.callback
end

-- Everything is over when each part is complete, or was told why not.
function Run:check()
  for name, part in pairs(self.parts) do
    if not (self:was_told(name) or part.complete()) then
      return
    end
  end
  self:wait_once_more()
end

-- With nothing else left to do: a slow machine may have had no reason to wait before.
function Run:wait_once_more()
  if not self.waits then
    self.waits = true
    for _, part in pairs(self.parts) do
      if part.rest then part.rest() end
    end
    if not self:try("loop", self.loop.call_later, self.loop, LAST_WAIT, self.stop, self) then
      self:stop()
    end
  end
end

function Run:stop()
  self.is_over = true
  self.loop:stop()
end

-- ---- the parts -------------------------------------------------------------------------------

local MESSAGES = 24

-- Checks what arrives: every message once, in order, and whole.
local function receive_numbers(run, part, from)
  from:on_recv(function(frames)
    local number = tonumber(frames[1])
    if number ~= part.last + 1 then run:broken("message %d came after %d", number, part.last) end
    if #frames ~= (number % 2 == 0 and 3 or 1) then
      run:broken("message %d has %d frames", number, #frames)
    end
    part.last, part.got = number, part.got + 1
    run:check()
  end)
end

-- Offers messages, a few in each iteration; one that is refused is offered again by the next.
local function offer_numbers(run, part, to, try)
  part.offered = 0
  local function report(_, status)
    if not status then
      part.unsent = part.unsent + 1
      tell(run, "streams", "reported")
    end
  end
  local function offer()
    for _ = 1, 6 do
      local number = part.accepted + 1
      local frames = number % 2 == 0 and {tostring(number), "", ("x"):rep(100 * number)}
        or {tostring(number)}
      part.offered = part.offered + 1
      if try(to.send_multipart, to, frames, number % 3 == 0 and report or nil) then
        part.accepted = number
      end
    end
    if part.offered < MESSAGES then try(run.loop.add_callback, run.loop, offer) end
  end
  offer()
end

-- Numbered messages of one frame and of three, through a queue that is often full.
function PARTS.streams(run)
  local part = {accepted = 0, got = 0, unsent = 0, last = 0}
  local function try(...) return run:try("streams", ...) end
  local pull = try(run.ctx.socket, run.ctx, "PULL", {rcvhwm = 4, bind = "inproc://streams"})
  local push = try(run.ctx.socket, run.ctx, "PUSH", {sndhwm = 4, connect = "inproc://streams"})
  local to = push and try(ZMQStream, push, run.loop)
  local from = pull and try(ZMQStream, pull, run.loop)
  part.complete = function()
    return part.offered == MESSAGES and part.got + part.unsent == part.accepted
  end
  part.close = function()
    if to and not to:closed() then part.unsent = part.unsent + (to:close(0) or 0) end
    if from and not from:closed() then from:close(0) end
  end
  if not to or not from then return part end
  for _, stream in ipairs{to, from} do
    stream:on_error(function(_, _, name) tell(run, "streams", name) run:check() end)
  end
  receive_numbers(run, part, from)
  offer_numbers(run, part, to, try)
  part.verify = function()
    local missing = part.accepted - part.got - part.unsent
    if missing ~= 0 and not run.told.streams then
      run:broken("%d accepted, %d received, %d unsent", part.accepted, part.got, part.unsent)
    end
  end
  return part
end

local ROUNDS = 3

function PARTS.green(run)
  local part = {rounds = 0}
  part.complete = function() return part.rounds == ROUNDS end
  local function try(...) return run:try("green", ...) end
  local rep = try(run.green.socket, run.green, "REP", {bind = "inproc://green"})
  local req = try(run.green.socket, run.green, "REQ", {connect = "inproc://green"})
  if not rep or not req then return part end
  try(run.loop.spawn, run.loop, function()
    for _ = 1, ROUNDS do
      -- Frame by frame, while the other one sends and receives whole messages.
      local first = try(rep.recv, rep)
      local second = first and try(rep.recv, rep)
      if not second or not try(rep.send, rep, first, zmq.SNDMORE)
        or not try(rep.send, rep, second) then
        return
      end
    end
  end)
  try(run.loop.spawn, run.loop, function()
    for round = 1, ROUNDS do
      if not try(req.send_multipart, req, {"question", tostring(round)}) then break end
      local answer = try(req.recv_multipart, req)
      if not answer then break end
      if #answer ~= 2 or answer[2] ~= tostring(round) then
        run:broken("answer %d is %s", round, table.concat(answer, ", "))
      end
      part.rounds = part.rounds + 1
    end
    run:check()
  end)
  return part
end

function PARTS.timers(run)
  local part = {fired = 0}
  part.complete = function() return part.fired >= 6 end
  local function fire()
    part.fired = part.fired + 1
    run:check()
  end
  for i = 1, 3 do
    run:try("timers", run.loop.call_later, run.loop, i / 2000, fire)
  end
  local periodic = run:try("timers", zmqloop.PeriodicCallback, fire, 1, run.loop)
  if periodic then run:try("timers", periodic.start, periodic) end
  part.rest = function() if periodic then periodic:stop() end end
  part.close = part.rest
  return part
end

function PARTS.handler(run)
  local part = {got = 0}
  part.complete = function() return part.got == 3 end
  local function try(...) return run:try("handler", ...) end
  local a = try(run.ctx.socket, run.ctx, "PAIR", {bind = "inproc://handler"})
  local b = try(run.ctx.socket, run.ctx, "PAIR", {connect = "inproc://handler"})
  if not a or not b then return part end
  try(run.loop.add_handler, run.loop, b, function()
    if try(b.recv, b, zmq.DONTWAIT) then part.got = part.got + 1 end
    run:check()
  end, "r")
  for _ = 1, 3 do
    try(a.send, a, "x", zmq.DONTWAIT)
  end
  return part
end

-- A handler that waits is out of the poller meanwhile.
function PARTS.descriptor(run)
  local part = {read = 0, got = 0}
  part.complete = function() return part.got == 3 end
  run:try("descriptor", run.loop.add_handler, run.loop, run.reader, function(file)
    assert(file:read("*l"))
    part.read = part.read + 1
    zmqloop.sleep(0)
    part.got = part.got + 1
    run:check()
  end, "rw")
  if not run:try("descriptor", run.loop.update_handler, run.loop, run.reader, "r") then
    run.loop:remove_handler(run.reader)
  end
  run.writer:write("a\nb\nc\n")
  part.close = function()
    run.loop:remove_handler(run.reader)
    for _ = part.read + 1, 3 do run.reader:read("*l") end
  end
  return part
end

function PARTS.signal(run)
  local part = {got = 0}
  part.complete = function() return part.got > 0 end
  if run:try("signal", run.loop.add_signal_handler, run.loop, "USR1", function()
    part.got = part.got + 1
    run:check()
  end) then
    process.kill(10)
  end
  part.close = function() run.loop:remove_signal_handler("USR1") end
  return part
end

-- What a second thread looks for.
function PARTS.blocked(run)
  run:try("blocked", run.loop.set_blocking_log_threshold, run.loop, PATIENCE_SECONDS)
  return {complete = function() return true end}
end

-- Calls that block, outside the loop.
function PARTS.plain(run)
  local part = {got = 0}
  part.complete = function() return part.got == 3 end
  local function try(...) return run:try("plain", ...) end
  local a = try(run.ctx.socket, run.ctx, "PAIR", {bind = "inproc://plain"})
  local b = try(run.ctx.socket, run.ctx, "PAIR", {connect = "inproc://plain", rcvtimeo = 1000})
  local poller = try(zmq.Poller)
  if not a or not b or not poller then return part end
  try(poller.register, poller, b, zmq.POLLIN)
  for _ = 1, 2 do
    if try(a.send_multipart, a, {"one", "two"}) and try(poller.poll, poller, 1000)
      and try(b.poll, b, 1000) then
      local frames = try(b.recv_multipart, b)
      if frames then
        if #frames ~= 2 then run:broken("%d frames in place of 2", #frames) end
        part.got = part.got + 1
      end
    end
  end
  local tracker = try(a.send, a, ("x"):rep(2000), {track = true})
  if tracker then
    local _, _, early = tracker:wait(0)
    if early ~= "ETIMEDOUT" then tell(run, "plain", early) end
    if try(b.recv, b) and try(tracker.wait, tracker, 1) then part.got = part.got + 1 end
  end
  return part
end

-- ---- a run -----------------------------------------------------------------------------------

local broken_runs, runs, fired_runs = 0, 0, 0

function Run:broken(...)
  self.is_broken = true
  print(("%s %s, call %d: "):format(CALL, ERROR, self.n) .. string.format(...))
end

-- What is broken about the whole run, and about parts of it.
local function verify(run)
  for name, part in pairs(run.parts) do
    if not run:was_told(name) and not part.complete() then
      run:broken("%s: not complete, and nothing was told", name)
    end
    if part.verify then part.verify() end
  end
  local part, what = next(run.told)
  if part and ERROR == "EINTR" then
    run:broken("%s: told of %s, but an interrupted call is to be tried again", part, what)
  end
end

-- Runs the loop, which says so when it cannot go on: then once more. The end of a context ends a
-- run quietly, and the loop can be started again.
local function serve(run)
  local loop = run.loop
  if not run:try("loop", loop.call_later, loop, PATIENCE_SECONDS, run.stop, run) then
    return
  end
  run:try("loop", loop.add_callback, loop, run.check, run)
  local failed = 0
  while not run.is_over and failed < 2 do
    local ok, result, message, name = pcall(loop.start, loop)
    if not ok or message then
      failed = failed + 1
      tell(run, "loop", name or message or result)
    elseif not run.is_over and ERROR ~= "ETERM" then
      run:broken("start() ended, and nobody has stopped the loop")
      return
    end
  end
end

local function close(run)
  for _, part in pairs(run.parts) do
    if part.close then run:try("close", part.close) end
  end
  run.loop:close()
  run.ctx:destroy(0)
  run.green:destroy(0)
end

local function run_once(n, count, reader, writer)
  failcall.arm(CALL, n, ERROR, count)
  local run = setmetatable({n = n, told = {}, parts = {}, reader = reader, writer = writer}, Run)
  run.loop = run:try("loop", new_loop)
  run.ctx, run.green = run:try("loop", zmq.Context), run:try("loop", green.Context)
  local iterations = 0
  if run.loop and run.ctx and run.green then
    run.loop:make_current()
    run.loop:on_error(function(_, err) tell(run, "callback", err) end)
    for name, make in pairs(PARTS) do
      run.parts[name] = make(run)
    end
    serve(run)
    iterations = run.loop:stats().iterations
  elseif not next(run.told) then
    run:broken("no loop, and nothing was told")
  end
  local _, fired = failcall.off()
  if iterations > MOST_ITERATIONS then run:broken("%d iterations", iterations) end
  if run.told.loop and run.loop and run.ctx and run.green then
    serve(run) -- without failures it goes on where it was
  end
  if run.loop and run.ctx and run.green then close(run) end
  verify(run)
  runs = runs + 1
  broken_runs = broken_runs + (run.is_broken and 1 or 0)
  fired_runs = fired_runs + (fired > 0 and 1 or 0)
  return fired > 0
end

-- ---- all of them -----------------------------------------------------------------------------

local reader, writer = assert(io.open(FIFO, "r+")), assert(io.open(FIFO, "r+"))
reader:setvbuf("no")
writer:setvbuf("no")

-- The first ones one by one, later ones with larger and larger steps.
local n = 1
while run_once(n, HOW == "always" and ALWAYS or 1, reader, writer) do
  n = n + math.max(1, math.floor(n / 8))
end
print(("%d runs, %d with a failure, %d broken"):format(runs, fired_runs, broken_runs))
