local zmqloop = require("zmqloop")
zmqloop.IOLoop.instance():run_sync(function()
  local two_at_once, running, most = zmqloop.Semaphore(2), 0, 0
  local tasks = {}
  for i = 1, 5 do
    tasks[i] = zmqloop.spawn(two_at_once.with, two_at_once, function()
      running = running + 1
      most = math.max(most, running)
      zmqloop.sleep(0.001)
      running = running - 1
    end)
  end
  zmqloop.gather(tasks)
  print(most) --> 2
end)
