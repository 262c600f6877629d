-- A finalizer that opens loops with other options than those for which the code was compiled.
local collector = require("spec.collector")

local function open(clock)
  zmqloop.IOLoop{impl = BACKEND, clock = clock}:close()
end

for _ = 1, 300 do
  open("virtual")
end
local count = 0
collector.finalized(function()
  for _ = 1, 100 do
    open(function() return 1 end)
    open("virtual")
    count = count + 1
  end
end)
for _ = 1, 2 do
  collectgarbage()
end
print(count)
