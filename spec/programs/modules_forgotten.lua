-- Names of zmqloop from before and after its modules were loaded again.
local before = require("zmqloop")
local sleep, Future = before.sleep, before.Future
for name in pairs(package.loaded) do
  if name:find("^zmqloop") then package.loaded[name] = nil end
end
local zmqloop = require("zmqloop")
local lock, future = zmqloop.Lock(), Future()
local result = zmqloop.IOLoop():run_sync(function()
  sleep(0)
  lock:acquire()
  zmqloop.spawn(function() future:set_result("done") end)
  return zmqloop.await(future)
end)
print(result)
