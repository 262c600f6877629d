-- A handler that removes itself and waits.
local zmqloop = require("zmqloop")
local loop = new_loop()
for i = 1, 20 do
  local context = zmqloop.zmq.Context()
  local socket = context:socket("PUB")
  local ended = false
  loop:add_handler(socket, function()
    -- Where the stack may still have the handler.
    local _, _, _, _, _, _, _, _, _, _ = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
    loop:remove_handler(socket)
  for _ = 1, 3 do collectgarbage() end
    local kept = {}
    for k = 1, 3000 do kept[k] = ("\255"):rep(k % 300) .. i .. k end -- where the handler was
    zmqloop.sleep(0)
    ended = #kept == 3000
  end, "w")
  for _ = 1, 100 do
    if ended then break end
    loop:step(0.01)
  end
  assert(ended)
  context:destroy(0)
end
print("ok")
