local zmqloop = require("zmqloop")
zmqloop.IOLoop.instance():run_sync(function()
  local lock = zmqloop.Lock()
  lock:with(function()
    zmqloop.sleep(0)
    print(lock:locked()) --> true
  end)
  print(lock:locked()) --> false
end)
