local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop.instance()
loop:run_sync(function()
  local task = zmqloop.spawn(function() zmqloop.sleep(60) end)
  zmqloop.sleep(0) -- it begins
  task:cancel()
  print(zmqloop.pcall(task.await, task)) --> false	ECANCELED: cancelled
  print(task:cancelled()) --> true
end)
