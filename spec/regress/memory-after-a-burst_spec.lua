-- The heap of timers, the queue of callbacks and the table of active handles kept the size of the
-- largest burst for ever.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local test = helper.test

local COUNT = 200000

local function kibibytes()
  collectgarbage()
  collectgarbage()
  return collectgarbage("count")
end

local function nothing() end

describe("what a burst took", function()
  after_each(helper.cleanup)

  -- Of the timers that stay one was started before all others, one after them.
  it("for timers is given back when others are started", test(function(t)
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = "virtual"})
    local calls, kept = 0, {}
    local function count() calls = calls + 1 end
    kept[1] = loop:call_later(100, count)
    local before = kibibytes()
    for i = 1, COUNT do loop:call_later(i % 50, count) end
    kept[2] = loop:call_later(100, count)
    local most = kibibytes()
    loop:advance(60)
    assert.equal(COUNT, calls)
    for _ = 1, 3000 do
      loop:call_later(0, count)
      loop:step(0)
    end
    assert.is_true(kibibytes() - before < (most - before) / 20)
    for i = 3, 1500 do kept[i] = loop:call_later(100, count) end -- places are not given twice
    calls = 0
    loop:advance(200)
    assert.equal(1500, calls)
    for _, timer in ipairs(kept) do assert.is_false(timer:active()) end
  end))

  it("for callbacks is given back when they have run", test(function(t)
    local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
    loop:step(0)
    local before = kibibytes()
    local calls = 0
    for i = 1, COUNT do
      loop:add_callback(i % 2 == 0 and nothing or function() calls = calls + 1 end)
    end
    local most = kibibytes()
    loop:add_callback(function() -- the last: it queues while the queue is given up
      for i = 1, 3000 do loop:add_callback(function(n) calls = calls + n end, i) end
    end)
    loop:step(0)
    assert.equal(COUNT / 2, calls)
    loop:step(0)
    assert.equal(COUNT / 2 + 3000 * 3001 / 2, calls)
    assert.is_true(kibibytes() - before < (most - before) / 20)
    loop:add_callback(function() calls = -1 end)
    loop:step(0)
    assert.equal(-1, calls)
  end))
end)
