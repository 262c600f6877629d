local zmqloop = require("zmqloop")
zmqloop.IOLoop.instance():run_sync(function()
  local queue = zmqloop.Queue(2)
  zmqloop.spawn(function()
    for i = 1, 3 do queue:put(i) end -- the third waits
  end)
  print(queue:get(), queue:get(), queue:get()) --> 1	2	3
  print(select(3, queue:get(0.001))) --> ETIMEDOUT
end)
