local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop{clock = "virtual"}
local timeout = loop:call_later(10, function() print(loop:time() == 5) end)
print(timeout:active(), timeout:remaining() == 10) --> true	true
timeout:again(5) -- from now
loop:advance(20) --> true
print(timeout:active()) --> false
loop:close()
