local zmqloop = require("zmqloop")
zmqloop.IOLoop.instance():run_sync(function()
  local changed, value = zmqloop.Condition(), nil
  zmqloop.spawn(function()
    value = "new"
    changed:notify()
  end)
  while not value do changed:wait() end
  print(value) --> new
end)
