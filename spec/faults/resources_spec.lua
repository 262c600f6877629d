-- Descriptors that run out, very many timers, unreferenced objects.
local helper = require("spec.helper")
local test = helper.test

local function noop() end

describe("descriptors that run out", function()
  after_each(helper.cleanup)

  it("are nil, a message and EMFILE; nothing is leaked, and it works afterwards", test(function(t)
    local script = t:script(helper.program("few_descriptors"))
    local child = t:keep(helper.command(("sh -c 'ulimit -n 40; exec %s %s'"):format(
      helper.interpreter, script)))
    local output, status = child:finish()
    assert.equal("ok\n", output)
    assert.equal(0, status)
  end))
end)

describe("a hundred thousand timers", function()
  after_each(helper.cleanup)

  local MANY = 100000

  local function resident_bytes()
    local statm = io.open("/proc/self/statm")
    -- a sanitizer keeps what was freed
    if not statm or os.getenv("LD_PRELOAD") then return 0 end
    local pages = tonumber(statm:read("*l"):match("^%d+ (%d+)"))
    statm:close()
    return pages * 4096
  end

  it("made and cancelled inside one callback leave nothing", test(function(t)
    local function rush()
      local handles = {}
      for i = 1, MANY do handles[i] = t.loop:call_later(i % 7, error, "it was cancelled") end
      for i = 1, MANY do t.loop:remove_timeout(handles[i]) end
    end
    local function settled()
      t.loop:add_callback(rush)
      assert.is_true(t.loop:run()) -- to the end: there are none to wait for
      assert.equal(0, t.loop:stats().timers)
      collectgarbage()
      collectgarbage()
      return collectgarbage("count"), resident_bytes()
    end
    local count = collectgarbage("count")
    local first, first_resident
    for _ = 1, 3 do first, first_resident = settled() end
    -- a handle is some 200 bytes, of which the loop keeps at most a place or two
    assert.is_true(first - count < MANY * 64 / 1024, "the handles are still there")
    local rounds, last, last_resident = 4, nil, nil
    for _ = 1, rounds do last, last_resident = settled() end
    assert.is_true(last - first < 100, "Lua's memory grows")
    -- allocators vary; a leak shows in each round
    assert.is_true(last_resident - first_resident < rounds * MANY * 48, "memory grows")
  end))

  it("that are pending cost an idle loop no time", test(function(t)
    for i = 1, MANY do t.loop:call_later(3600 + i % 100, noop) end
    t.loop:step(0)
    collectgarbage()
    local start, used = t.loop:time(), os.clock()
    assert.equal(0, (t.loop:step(0.2)))
    used = os.clock() - used
    local waited = t.loop:time() - start
    assert.is_true(waited >= 0.2)
    assert.is_true(used < waited / 4, ("%g s of %g s"):format(used, waited))
  end))
end)

describe("objects that nobody holds", function()
  after_each(helper.cleanup)

  it("are collected by the thousand, sockets and contexts too", test(function(t)
    local output, status = t:run_child(helper.program("thousands_of_objects"))
    assert.equal("true\n", output)
    assert.equal(0, status)
  end))
end)
