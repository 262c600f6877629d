local zmqloop = require("zmqloop")
local loop = zmqloop.IOLoop.instance()
local future = zmqloop.Future()
loop:call_later(0.001, future.set_result, future, "an answer", 42)
print(loop:run_sync(function() return future:await() end)) --> an answer	42
print(future:done()) --> true
