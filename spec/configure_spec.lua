-- The class of the objects that IOLoop() creates, and what derived classes may do.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local IOLoop = zmqloop.IOLoop
local test = helper.test

local function noop() end

-- A loop that counts its callbacks.
local function counting_class()
  local Counting = {}
  function Counting:initialize(impl, options)
    self.count = 0
    self.label, options.label = options.label, nil
    return IOLoop.initialize(self, impl, options)
  end
  function Counting:add_callback(fn, ...)
    self.count = self.count + 1
    return IOLoop.add_callback(self, fn, ...)
  end
  return Counting
end

describe("IOLoop.configure", function()
  after_each(function()
    IOLoop.configure(nil)
    helper.cleanup()
  end)

  it("chooses the backend", test(function(t)
    for _, impl in ipairs{"poll", "epoll"} do
      IOLoop.configure(impl)
      assert.matches(impl, tostring(t:keep(IOLoop())), 1, true)
    end
    assert.matches("poll", tostring(t:keep(IOLoop{impl = "poll"})), 1, true)
  end))

  it("takes a table as a class that derives from IOLoop", test(function(t)
    local Counting = counting_class()
    IOLoop.configure(Counting, {label = "mine"})
    assert.equal(Counting, IOLoop.configured_class())
    local loop = t:keep(IOLoop())
    loop:add_callback(noop)
    loop:add_callback(function() loop:stop() end)
    loop:start()
    assert.equal(2, loop.count)
    assert.equal("mine", loop.label)
    assert.is_false(loop:closed())
  end))

  it("chooses the class of instance() and current() too", test(function(t)
    if IOLoop.initialized() then IOLoop.instance():close() end
    IOLoop.clear_current()
    IOLoop.configure(counting_class(), {label = "global"})
    local loop = t:keep(IOLoop.instance())
    assert.equal("global", loop.label)
    assert.equal(loop, IOLoop.current())
    loop:close()
  end))

  it("lets a derived class be called by itself", test(function(t)
    local Counting = counting_class()
    IOLoop.configure(Counting)
    IOLoop.configure(nil)
    assert.equal("own", t:keep(Counting{label = "own"}).label)
    assert.is_nil(t:keep(IOLoop()).count)
  end))

  it("derives a class given as impl", test(function(t)
    local loop = t:keep(IOLoop{impl = counting_class(), label = "given"})
    assert.equal("given", loop.label)
    local seen = {}
    loop = t:keep(IOLoop{impl = {handle_callback_exception = function(_, _, err)
      seen[#seen + 1] = err
    end}})
    loop:add_callback(error, "oh", 0)
    loop:step(0)
    assert.same({"oh"}, seen)
  end))

  it("goes back to the default with nil", function()
    IOLoop.configure(counting_class())
    IOLoop.configure(nil)
    assert.equal(IOLoop, IOLoop.configured_class())
    assert.equal(IOLoop, IOLoop.configurable_base())
    assert.equal(IOLoop, IOLoop.configurable_default())
  end)

  it("lets a class override what becomes of errors", test(function(t)
    local seen = {}
    local class = {}
    function class.handle_callback_exception(_, callback, err)
      seen[#seen + 1] = {callback, err}
    end
    IOLoop.configure(class)
    local loop = t:keep(IOLoop())
    local function bad() error("oh", 0) end
    loop:add_callback(bad)
    loop:step(0)
    assert.same({{bad, "oh"}}, seen)
  end))

  it("rejects what is no implementation and no option", function()
    assert.has_error(function() IOLoop.configure("kqueue") end)
    assert.has_error(function() IOLoop.configure(1) end)
    assert.has_error(function() IOLoop.configure("poll", 1) end)
    assert.has_error(function() IOLoop{colour = "red"} end)
    assert.has_error(function() IOLoop(1) end)
  end)

  it("reports an initialize() that forgot its base", function()
    IOLoop.configure({initialize = noop, add_callback = noop})
    assert.error_matches(function() IOLoop() end, "has to call that of IOLoop")
  end)

  it("opens a loop once", test(function(t)
    assert.has_error(function() t.loop:initialize() end)
  end))
end)

describe("run_sync", function()
  after_each(helper.cleanup)

  it("returns what the function returns, nils included", test(function(t)
    local results = helper.pack(t.loop:run_sync(function() return 1, nil, 3, nil end))
    assert.equal(4, results.n)
    assert.equal(1, results[1])
    assert.equal(3, results[3])
  end))

  it("raises what the function raises", test(function(t)
    local thing = {}
    local ok, err = pcall(t.loop.run_sync, t.loop, function() error(thing) end)
    assert.is_false(ok)
    assert.equal(thing, err)
  end))

  it("makes the loop the current one", test(function(t)
    assert.equal(t.loop, t.loop:run_sync(IOLoop.current))
  end))

  it("can be used again", test(function(t)
    for i = 1, 3 do
      assert.equal(i, t.loop:run_sync(function() return i end, 10))
    end
  end))

  it("tells a loop that was stopped from a time that is up", test(function(t)
    t.loop:stop()
    local called = false
    assert.error_matches(function() t.loop:run_sync(function() called = true end) end, "stopped")
    t:settle()
    assert.is_false(called)
    local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
    loop.add_callback = function(self, fn) -- the function's turn never comes
      return self:call_later(60, fn)
    end
    assert.error_matches(function() loop:run_sync(noop, 5) end, "timed out after 5 seconds")
  end))

  it("waits until the function whose time is up has cleaned up", test(function(t)
    local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
    local cleaned = false
    assert.error_matches(function()
      loop:run_sync(function()
        zmqloop.pcall(zmqloop.sleep, 1000)
        zmqloop.sleep(30)
        cleaned = true
      end, 5)
    end, "^ETIMEDOUT: .* after 5 seconds$")
    assert.is_true(cleaned)
    assert.equal(35, loop:time())
  end))

  it("ends by stop() where the clean-up does not", test(function(t)
    local loop = t:keep(IOLoop{impl = helper.backend, clock = "virtual"})
    loop:call_later(60, loop.stop, loop)
    assert.error_matches(function()
      loop:run_sync(function()
        while true do
          zmqloop.pcall(zmqloop.sleep, 1000)
        end
      end, 5)
    end, "^ETIMEDOUT: ")
    assert.equal(60, loop:time())
  end))

  it("is not for use inside a running loop", test(function(t)
    local ok, err
    t.loop:add_callback(function()
      ok, err = pcall(t.loop.run_sync, t.loop, noop)
      t.loop:stop()
    end)
    t.loop:start()
    assert.is_false(ok)
    assert.matches("already running", err)
  end))

  it("rejects what cannot be called", test(function(t)
    assert.has_error(function() t.loop:run_sync(42) end)
  end))
end)
