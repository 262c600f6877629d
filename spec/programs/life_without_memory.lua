-- One short life of everything, while each request for memory fails in turn.
-- Argument: "fail_from" or "fail_once".
local arm = require("faultalloc")[...]
local off = require("faultalloc").off
-- LuaJIT itself crashes when memory runs out inside a trace.
if rawget(_G, "jit") then jit.off() end
local zmq, MESSAGES = zmqloop.zmq, 6
local text, number, options = {}, {}, {impl = BACKEND}
for i = 1, MESSAGES do
  text[i] = ("message %d "):format(i) .. ("x"):rep(i * 20)
  number[text[i]] = i
end
local pair = {"", ""}
local accepted, received, reported = {}, {}, {}
local life = {ctx = false, loop = false, out = false, into = false, sender = false,
  receiver = false, timer = false, reports_close = false}
local fired, called, problem, closed_with = 0, 0, false, false

local function check(result, message, name)
  if result == nil then
    if name ~= "ENOMEM" then problem = message end
    error(message, 0)
  end
  return result
end
local function is_memory(err)
  return type(err) == "string" and (err:find("not enough memory", 1, true)
    or err:find("ENOMEM", 1, true)) and true or false
end
local failures, failure = 0, false
local function on_error(_, err)
  failures = failures + 1
  failure = err
end
local function on_recv(frames)
  local i = number[frames[2]]
  received[i] = received[i] + 1
end
local function on_send(frames)
  local i = number[frames[2]]
  reported[i] = reported[i] + 1
end
local function on_timer() fired = fired + 1 end
local function on_callback() called = called + 1 end
local function on_close(unsent) closed_with = unsent end

local function live()
  life.ctx = check(zmq.Context())
  life.loop = check(zmqloop.IOLoop(options))
  life.loop:on_error(on_error)
  life.out = check(life.ctx:socket("PAIR"))
  life.into = check(life.ctx:socket("PAIR"))
  check(life.into:bind("inproc://oom"))
  life.sender = check(zmqloop.ZMQStream(life.out, life.loop))
  life.receiver = check(zmqloop.ZMQStream(life.into, life.loop))
  life.receiver:on_recv(on_recv)
  life.sender:on_send(on_send)
  life.sender:set_close_callback(on_close)
  life.reports_close = true
  for i = 1, MESSAGES do
    if i == 4 then check(life.sender:connect("inproc://oom")) end
    pair[2] = text[i]
    local ok, _, name = life.sender:send_multipart(pair)
    if ok then accepted[i] = true elseif name ~= "ENOMEM" then problem = name end
    if ok == nil then error("ENOMEM", 0) end
  end
  life.timer = check(life.loop:call_later(0, on_timer))
  life.loop:add_callback(on_callback)
  for _ = 1, 5 do life.loop:step(0) end
  life.timer:again(0)
  life.loop:step(0)
  check(life.loop:add_handler(check(life.ctx:socket("PULL")), on_callback, 1))
  life.receiver:pause()
  life.receiver:resume()
  life.sender:get("last_endpoint")
  life.sender:flush()
  life.receiver:on_recv(nil)
end

local function complete()
  for i = 1, MESSAGES do
    if accepted[i] and received[i] == 0 then return false end
  end
  return true
end

-- With memory back: all that was accepted has to arrive, once.
local function aftermath()
  if life.receiver then
    life.receiver:on_recv(on_recv)
    life.sender:connect("inproc://oom")
    local deadline = life.loop:time() + 5
    while not complete() do
      life.loop:step(0.01)
      if life.loop:time() > deadline then error("an accepted message was lost") end
    end
    for _ = 1, 3 do life.loop:step(0) end
    for i = 1, MESSAGES do
      if received[i] > 1 then error("a message came twice") end
      if received[i] == 1 and not accepted[i] then error("a refused message came") end
      if reported[i] > 1 then error("a message was reported twice") end
    end
    life.sender:close()
    life.receiver:close()
    if life.reports_close and closed_with ~= 0 then
      error("close callback: " .. tostring(closed_with))
    end
  end
  if life.loop then
    life.loop:add_callback(on_callback)
    local before = called
    life.loop:step(0)
    if called ~= before + 1 then error("the loop is dead") end
    life.loop:close()
  end
  if life.ctx then life.ctx:destroy(0) end
end

local function reset()
  for key in pairs(life) do life[key] = false end
  for i = 1, MESSAGES do accepted[i], received[i], reported[i] = false, 0, 0 end
  fired, called, problem, failures, failure, closed_with = 0, 0, false, 0, false, false
end

local n = 0
repeat
  n = n + 1
  reset()
  collectgarbage()
  arm(n)
  local ok, err = pcall(live)
  off()
  local came_through = ok and failures == 0
  local where = ("request %d: "):format(n)
  if problem then error(where .. tostring(problem)) end
  if not ok and not is_memory(err) then error(where .. tostring(err)) end
  if failures > 0 and not is_memory(failure) then error(where .. tostring(failure)) end
  local fine, trouble = pcall(aftermath)
  if not fine then error(where .. tostring(trouble)) end
  if n % 10 == 0 then
    reset()
    live()
    aftermath()
  end
  if n > 5000 then error("it never comes through") end
until came_through
reset()
live()
if called == 0 or fired == 0 then error("the scenario does nothing") end
aftermath()
print("came through after " .. n)
