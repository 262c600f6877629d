local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop()
loop:add_callback(print, "first") --> first
loop:call_later(0.001, function()
  print("later") --> later
  loop:stop()
end)
loop:start()
loop:close()
