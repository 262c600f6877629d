-- A service and its clients as straight code: each is a task, and waits while the
-- others work.
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local ctx = green.Context.instance()
local service = ctx:socket("REP")
assert(service:bind("tcp://127.0.0.1:*"))
local address = service:get("last_endpoint")

local function serve()
  local request = service:recv()
  while request do
    zmqloop.sleep(0.01) -- where it would ask others
    service:send(request:upper())
    request = service:recv()
  end
end

local function ask(question)
  local socket = ctx:socket("REQ", {rcvtimeo = 5000, connect = address})
  assert(socket:send(question))
  local answer = assert(socket:recv())
  socket:close()
  return answer
end

local answers = zmqloop.IOLoop.instance():run_sync(function()
  zmqloop.spawn(serve)
  local clients = {}
  for i = 1, 5 do
    clients[i] = zmqloop.spawn(ask, "question " .. i)
  end
  return zmqloop.gather(clients)
end)
print(table.concat(answers, "\n"))
