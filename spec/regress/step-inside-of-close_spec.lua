-- close() and flush() call callbacks while the loop rests, and such a callback may run the loop.
-- What a callback of that run raised was kept for the end of close(): the run raised "EINTR:
-- interrupted".
local helper = require("spec.helper")
local test = helper.test
local zmqloop = require("zmqloop")

local runs = {
  step = function(loop) return loop:step(0) end,
  start = function(loop) return loop:start() end,
  run = function(loop) return loop:run() end,
  advance = function(loop) return loop:advance(1) end,
}

describe("a loop that is run in a callback of close()", function()
  after_each(helper.cleanup)

  -- What run(loop) returns or raises in there, after prepare(loop).
  local function run_in_close(t, loop, run, prepare)
    loop:on_error("raise")
    local stream = t:keep(zmqloop.ZMQStream(t:socket("PULL"), loop))
    local results
    stream:set_close_callback(function()
      prepare(loop)
      results = helper.pack(pcall(run, loop))
    end)
    assert(stream:close(0))
    return results
  end

  for name, run in pairs(runs) do
    it(("raises what a callback raised: %s()"):format(name), test(function(t)
      local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = "virtual"})
      local results = run_in_close(t, loop, run, function()
        loop:call_later(0, error, "of a callback", 0)
      end)
      assert.same({n = 2, false, "of a callback"}, results)
      assert.equal(0, (loop:step(0)))
    end))
  end

  it("raises what its clock raised", test(function(t)
    local fails = false
    local loop = t:keep(zmqloop.IOLoop{impl = helper.backend, clock = function()
      if fails then
        fails = false
        error("of the clock", 0)
      end
      return 1
    end})
    local results = run_in_close(t, loop, runs.step, function() fails = true end)
    assert.same({n = 2, false, "of the clock"}, results)
    assert.equal(0, (loop:step(0)))
  end))
end)
