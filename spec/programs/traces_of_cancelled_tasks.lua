-- Counts the traces that are made for tasks that are cancelled, and for one that fails.
local count, traceback = 0, debug.traceback
rawset(debug, "traceback", function(...)
  count = count + 1
  return traceback(...)
end)
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
local future = zmqloop.Future(loop)
local task = loop:spawn(function() return future:await() end)
local last = loop:spawn(function() return task:await() end)
loop:add_callback(last.cancel, last)
loop:advance(0)
loop:advance(0)
print(last:cancelled(), task:cancelled(), count)
loop:spawn(error, "no"):add_done_callback(function(ended) ended:error() end)
loop:advance(0)
print(count)
