-- After 256 operations in a row without a wait, a task is queued before it tries the next one. It
-- waited for ever if that operation fails at once, since the socket never becomes ready.
local green = require("zmqloop.green")
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

describe("an operation on a green socket that fails at once", function()
  after_each(helper.cleanup)

  it("fails after any number of operations", helper.test(function(t)
    local ctx = green.Context()
    local rep, req = ctx:socket("REP"), ctx:socket("REQ")
    assert(rep:bind("inproc://turn"))
    assert(req:connect("inproc://turn"))
    local failed = 0
    t.loop:run_sync(function()
      for _ = 1, 300 do
        for _, operation in ipairs{
          function() return rep:send("no request") end,
          function() return req:recv() end,
        } do
          local sent, _, name = operation()
          assert.is_nil(sent)
          assert.equal("EFSM", name)
          failed = failed + 1
        end
        zmqloop.sleep(0)
      end
    end, 20)
    assert.equal(600, failed)
    ctx:destroy(0)
  end))
end)
