-- Signals of the process, on loops: add_signal_handler(), remove_signal_handler().
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local elsewhere = require("elsewhere")
local process = require("process")
local test, fails, raises = helper.test, helper.fails, helper.raises

local USR1, USR2 = 10, 12

-- A loop of its own, which is closed after the test.
local function another_loop(t)
  local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
  t:watch(loop)
  return loop
end

describe("a signal handler", function()
  after_each(function()
    helper.cleanup()
    process.dispose(USR1, "default")
    process.dispose(USR2, "default")
  end)

  it("is called from the loop, when the signal has come", test(function(t)
    local called = false
    assert.is_true(t.loop:add_signal_handler("USR1", t.expect(function()
      called = true
      t.loop:stop()
    end)))
    process.kill(USR1)
    assert.is_false(called)
    t:start()
  end))

  it("ends the wait of a loop in another thread, and may stop it", test(function()
    local thread = elsewhere.thread(([[
      package.path, package.cpath = %q, %q
      local process = require("process")
      local loop = require("zmqloop").IOLoop{impl = %s}
      loop:add_signal_handler("USR1", function() loop:stop() end)
      loop:add_signal_handler("USR2", function() end)
      loop:call_later(20, function() error("no signal came") end)
      loop:on_error("raise")
      process.dispose(12, "count") -- tells that the handlers are there
      loop:start()
      loop:close()
      return "stopped"
    ]]):format(package.path, package.cpath,
      helper.backend and ("%q"):format(helper.backend) or "nil"))
    repeat until process.disposition(USR2) == "count"
    process.kill(USR1)
    local ok, result = thread:join()
    assert.same({true, "stopped"}, {ok, result})
  end))

  it("gets what was registered, and how often the signal has come", test(function(t)
    local got = {}
    local function note(what, count) got[#got + 1] = {what, count} end
    assert.is_true(t.loop:add_signal_handler("SIGUSR1", t.expect(note)))
    assert.is_true(t.loop:add_signal_handler(USR2, t.expect(note)))
    process.kill(USR1)
    process.kill(USR2)
    process.kill(USR1)
    t:settle()
    assert.same({{"SIGUSR1", 2}, {USR2, 1}}, got)
  end))

  it("may be a callable table, and nothing else than callables", test(function(t)
    local callable = setmetatable({}, {__call = t.expect(function() end)})
    assert.is_true(t.loop:add_signal_handler("USR1", callable))
    process.kill(USR1)
    t:settle()
    raises("bad argument #2 to 'add_signal_handler' (function or callable expected, got nil)",
      t.loop.add_signal_handler, t.loop, "USR1")
  end))

  it("wants the name or the number of a signal that can be handled", test(function(t)
    local function add(what)
      return t.loop:add_signal_handler(what, print)
    end
    raises("bad argument #1 to 'add_signal_handler' (no signal 'TREM')", add, "TREM")
    raises("bad argument #1 to 'add_signal_handler' (name or number of a signal expected, got "
      .. "table)", add, {})
    for _, what in ipairs{"KILL", "STOP", "SEGV", 9, 1000} do
      raises("bad argument #1 to 'add_signal_handler' (not a signal for handlers)", add, what)
    end
    raises("bad argument #1 to 'add_signal_handler' (out of range)", add, 0)
    raises("bad argument #1 to 'remove_signal_handler' (no signal 'USR')",
      t.loop.remove_signal_handler, t.loop, "USR")
  end))

  it("is installed for the first that asks, and put back after the last", test(function(t)
    local other = another_loop(t)
    assert.equal("default", process.disposition(USR1))
    t.loop:add_signal_handler("USR1", print)
    assert.equal("handler", process.disposition(USR1))
    other:add_signal_handler("USR1", print)
    t.loop:remove_signal_handler("USR1")
    assert.equal("handler", process.disposition(USR1))
    other:remove_signal_handler(USR1)
    assert.equal("default", process.disposition(USR1))
    other:remove_signal_handler("USR1") -- what is not there does nothing
  end))

  it("is taken away by close, and with a loop that is collected", test(function()
    process.dispose(USR1, "ignore")
    local loop = zmqloop.IOLoop()
    loop:add_signal_handler("USR1", print)
    loop:close()
    assert.equal("ignore", process.disposition(USR1))
    helper.apart(function() zmqloop.IOLoop():add_signal_handler("USR1", print) end)
    collectgarbage()
    collectgarbage()
    assert.equal("ignore", process.disposition(USR1))
  end))

  it("is one of several loops', each of which is called", test(function(t)
    local other = another_loop(t)
    t.loop:add_signal_handler("USR1", t.expect(function() end))
    other:add_signal_handler("USR1", t.expect(function() end))
    process.kill(USR1)
    t:settle()
    other:step(0)
  end))

  it("is called besides the one that was there", test(function(t)
    process.dispose(USR1, "count")
    t.loop:add_signal_handler("USR1", t.expect(function() end))
    process.kill(USR1)
    assert.equal(1, process.handled())
    t:settle()
    t.loop:remove_signal_handler("USR1")
    process.kill(USR1)
    assert.equal(2, process.handled())
  end))

  it("replaces that of the same loop, and keeps what has come", test(function(t)
    t.loop:add_signal_handler("USR1", t.expect(function() end, 0))
    process.kill(USR1)
    t.loop:add_signal_handler(USR1, t.expect(function(what, count)
      assert.same({USR1, 1}, {what, count})
    end))
    t:settle()
  end))

  it("is not called any more once it is removed, though the signal came", test(function(t)
    t.loop:add_signal_handler("USR1", t.expect(function() end, 0))
    process.kill(USR1)
    t.loop:remove_signal_handler("SIGUSR1")
    t:settle()
  end))

  it("may remove itself, and its neighbour", test(function(t)
    local function remove_both()
      t.loop:remove_signal_handler("USR1")
      t.loop:remove_signal_handler("USR2")
    end
    local calls = 0
    for _, name in ipairs{"USR1", "USR2"} do
      t.loop:add_signal_handler(name, function()
        calls = calls + 1
        remove_both()
      end)
    end
    process.kill(USR1)
    process.kill(USR2)
    t:settle()
    assert.equal(1, calls)
    assert.same({"default", "default"}, {process.disposition(USR1), process.disposition(USR2)})
  end))

  it("has its errors handled as those of other callbacks, and is called again", test(function(t)
    t:expect_errors()
    t.loop:add_signal_handler("USR1", t.expect(function() error("in the handler", 0) end, 2))
    for _ = 1, 2 do
      process.kill(USR1)
      t:settle()
    end
    assert.same({"in the handler", "in the handler"}, t.errors)
  end))

  it("keeps run() from returning, until it is removed", test(function(t)
    t.loop:add_signal_handler("USR1", t.expect(function() t.loop:remove_signal_handler("USR1") end))
    t.loop:call_later(0.001, function() process.kill(USR1) end)
    t.loop:run()
  end))

  it("of SIGINT takes the place of the interpreter's, whose Ctrl-C works again after it",
    test(function(t)
      local child = t:child(helper.program("handler_of_sigint_removed_in_it"))
      assert.equal("running", child:line())
      child:kill("INT")
      assert.equal("handled", child:line())
      assert.equal("an error of a callback", child:line())
      child:wait_asleep()
      child:kill("INT")
      local output = child:finish()
      assert.matches("interrupted!", output)
    end))

  it("of SIGINT that is removed leaves errors to be those of their callbacks", test(function(t)
    local output, status = t:run_child(helper.program("errors_after_a_handler_of_sigint"))
    assert.same({"an error of a callback\nended\n", 0}, {output, status})
  end))

  it("cannot be asked for in a forked process", test(function(t)
    local loop = t.loop
    assert.is_true(elsewhere.process(function()
      fails("ECHILD", loop:add_signal_handler("USR1", print))
    end))
  end))

  it("is counted, and its time is measured", test(function(t)
    t.loop:add_signal_handler("USR1", t.expect(function() end))
    process.kill(USR1)
    t:settle()
    assert.equal(1, t.loop:stats().signals)
  end))

  it("asked for on a closed loop raises", test(function(t)
    local loop = another_loop(t)
    loop:close()
    raises("loop is closed", loop.add_signal_handler, loop, "USR1", print)
    raises("loop is closed", loop.remove_signal_handler, loop, "USR1")
  end))
end)
