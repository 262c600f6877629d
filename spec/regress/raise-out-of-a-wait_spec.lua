-- A call that waits consumes the wake-ups of its socket. If a signal handler then raised, the loop
-- did not notice, and a handler missed its wake-up.
local helper = require("spec.helper")
local zmq = require("zmqloop").zmq
local test = helper.test

-- Calls fn(...), which waits, in a storm of signals; the function that C calls
-- to let hooks run raises, as the interpreter's Ctrl-C does.
local function interrupted(fn, ...)
  local sigstorm = require("sigstorm")
  local calls = 0
  local function hook()
    calls = calls + 1
    if calls == 2 then error("interrupted", 0) end -- the first is fn itself
  end
  sigstorm.start(1000)
  local ok, err = pcall(function(...)
    debug.sethook(hook, "c")
    fn(...)
  end, ...)
  debug.sethook()
  sigstorm.stop()
  assert.is_false(ok)
  assert.matches("interrupted", tostring(err))
end

describe("a handler", function()
  after_each(helper.cleanup)

  -- Its message has come when a wait for something else begins.
  local function is_called(t, wait)
    local a, b = t:socket("PAIR", {hwm = 1}), t:socket("PAIR", {hwm = 1})
    b:connect(t:bind(a))
    while a:send("fills", zmq.DONTWAIT) do end -- luacheck: ignore
    local got
    t.loop:add_handler(a, t.expect(function()
      got = a:recv(zmq.DONTWAIT)
      t.loop:stop()
    end), t.loop.READ)
    t:settle()
    assert(b:send("x"))
    wait(a)
    t:start()
    assert.equal("x", got)
  end

  it("is called after poll() was interrupted and raised", test(function(t)
    is_called(t, function(a) interrupted(a.poll, a, 10000, zmq.POLLOUT) end)
  end))

  it("is called after a Poller's poll() was interrupted and raised", test(function(t)
    is_called(t, function(a)
      local poller = zmq.Poller()
      poller:register(a, zmq.POLLOUT)
      interrupted(require("zmqloop.core").poll_items, poller.entries, 10000)
    end)
  end))

  it("is called after send() was interrupted and raised", test(function(t)
    is_called(t, function(a) interrupted(a.send, a, "more") end)
  end))
end)
