-- Recording the slowest callback looked up its __call by a string that Lua had to allocate: a
-- finalizer that ran then raised its error across the core, and the loop counted as running for
-- ever.
local helper = require("spec.helper")

local program = [[
local collector = require("spec.collector")
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
loop:on_error(function() end)
local function finalized(fn)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then
    getmetatable(newproxy(true)).__gc = fn
  else
    setmetatable({}, {__gc = fn})
  end
end
local filler, longer, ended = {}, 0, false
local callback = setmetatable({}, {__call = function()
  collectgarbage("stop")
  for _ = 1, 200 do
    finalized(function() if not ended then error("of a finalizer") end end)
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
]]

describe("a finalizer that fails", function()
  after_each(helper.cleanup)

  it("raises nothing out of the loop's own bookkeeping", helper.test(function(t)
    local output, status = t:run_child(program)
    output = output:gsub("lua[%d.]*: warning: error in __gc\n", "")
    assert.equal("true\ttrue\n", output)
    assert.equal(0, status)
  end))
end)
