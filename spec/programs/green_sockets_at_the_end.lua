-- A program that ends while tasks wait on a green socket.
local green = require("zmqloop.green")
local loop = new_loop()
local socket = green.Context():socket("DEALER")
for _ = 1, 3 do
  loop:spawn(socket.recv, socket)
  loop:spawn(socket.send, socket, "x")
end
loop:step(0)
loop:call_later(0.01, function() print("end") os.exit(0, true) end)
loop:start()
