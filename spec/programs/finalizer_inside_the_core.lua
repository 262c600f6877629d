-- A finalizer that runs while the core is at work.
local collector = require("spec.collector")
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
loop:on_error(function() end)
local filler, longer, ended = {}, 0, false
local callback = setmetatable({}, {__call = function()
  collectgarbage("stop")
  for _ = 1, 200 do
    collector.finalized(function() if not ended then error("of a finalizer") end end)
  end
  longer = longer + 1
  loop:advance(longer) -- slower than any before
  collector.set(200, collector.WHOLE)
  collectgarbage("restart")
  for i = 1, 100000 do filler[i] = i end -- the collector has a debt
end})
for _ = 1, 5 do loop:add_callback(callback) end
for _ = 1, 10 do
  pcall(loop.step, loop, 0)
  collectgarbage("stop")
  if loop:running() then print("left running") end
end
ended = true
print(loop:stats().slowest_source:match(":%d+$") ~= nil, pcall(loop.close, loop))
