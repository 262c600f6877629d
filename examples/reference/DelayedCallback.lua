local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop{clock = "virtual"}
zmqloop.DelayedCallback(function() print("after") end, 250, loop):start() -- milliseconds
print("before") --> before
loop:advance(1) --> after
loop:close()
