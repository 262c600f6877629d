-- Random arguments for every function that takes names, options, addresses, frames or masks:
-- whatever they are, the outcome is a result, a failure or an error, and the process continues.
-- Environment: ZMQLOOP_FUZZ_SECONDS, how long (2); ZMQLOOP_SEED, to repeat what has failed, if it
-- does not depend on libzmq's threads.
local helper = require("spec.helper")
local test = helper.test

local SECONDS = tonumber(os.getenv("ZMQLOOP_FUZZ_SECONDS")) or 2
local SEED = tonumber(os.getenv("ZMQLOOP_SEED"))

-- Runs in a process of its own: SEED, SECONDS. Prints each call before it makes it.
local PROGRAM = helper.program("fuzz")

describe("random arguments", function()
  after_each(helper.cleanup)

  it("are answered, and never end the process", test(function(t)
    local folder = t:tmpname()
    assert(os.execute("mkdir " .. folder))
    local seed = SEED or (os.time() * 7919 + math.floor(os.clock() * 1e6)) % 2147483646 + 1
    local output, status = t:run_child(PROGRAM, {("%d"):format(seed), SECONDS}, SECONDS * 2 + 60,
      ("cd %s;"):format(folder))
    os.execute("rm -r " .. folder)
    assert.equal(0, status, ("ZMQLOOP_SEED=%d: %s"):format(seed, output:sub(-2000)))
    assert.matches("ended well\n$", output)
  end))
end)
