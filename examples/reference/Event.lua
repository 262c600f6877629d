local zmqloop = require("zmqloop")
zmqloop.IOLoop.instance():run_sync(function()
  local event = zmqloop.Event()
  zmqloop.spawn(function() event:set() end)
  print(event:wait(1)) --> true
  print(event:is_set()) --> true
end)
