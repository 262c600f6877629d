local zmqloop = require("zmqloop")
local function double(number)
  zmqloop.sleep(0.001)
  return 2 * number
end
zmqloop.IOLoop.instance():run_sync(function()
  local results = zmqloop.gather({zmqloop.spawn(double, 1), zmqloop.spawn(double, 2)})
  print(results[1], results[2]) --> 2	4
end)
