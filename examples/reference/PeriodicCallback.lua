local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop{clock = "virtual"}
local calls = 0
local beat = zmqloop.PeriodicCallback(function() calls = calls + 1 end, 250, loop) -- milliseconds
beat:start()
loop:advance(1)
beat:stop()
print(calls, beat:is_running()) --> 4	false
loop:close()
