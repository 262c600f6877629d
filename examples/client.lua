-- A client of service.lua: sends requests, never more than WINDOW of them
-- unanswered, checks each answer, and listens to the heartbeat.
-- Arguments: the endpoints that service.lua printed.
local zmqloop = require("zmqloop")

local REQUESTS, WINDOW, SECONDS = 20000, 20, 30

local loop = zmqloop.IOLoop.instance()
local ctx = zmqloop.zmq.Context.instance()
local requests = zmqloop.ZMQStream(ctx:socket("DEALER", {connect = arg[1]}))
local heartbeat = zmqloop.ZMQStream(ctx:socket("SUB", {subscribe = {""}, connect = arg[2]}))

local sent, answered, beats = 0, 0, 0

local function ask()
  sent = sent + 1
  requests:send_multipart{tostring(sent), "request " .. sent}
end

local function stop_when_done()
  if answered == REQUESTS and beats >= 3 then loop:stop() end
end

-- One service answers in the order it was asked.
requests:on_recv(function(frames)
  local id, text = frames[1], frames[2]
  assert(id == tostring(answered + 1) and text == "REQUEST " .. id, "a wrong answer")
  answered = answered + 1
  if sent < REQUESTS then ask() end
  stop_when_done()
end)

heartbeat:on_recv(function(frames)
  beats = beats + 1
  print(("heartbeat: %s answered"):format(frames[2]))
  stop_when_done()
end)

loop:on_error("raise") -- a wrong answer ends the client
loop:call_later(SECONDS, function() loop:stop() end)
local started = loop:time()
for _ = 1, WINDOW do ask() end
loop:start()

print(("%d of %d requests answered in %.1f s, %d heartbeats"):format(
  answered, REQUESTS, loop:time() - started, beats))
requests:send("stop")
requests:close()
assert(answered == REQUESTS and beats >= 3, "not everything was answered")
