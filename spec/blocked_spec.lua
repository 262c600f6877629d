-- Loops that do not reach their wait: set_blocking_signal_threshold(),
-- set_blocking_log_threshold(), log_stack().
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local elsewhere = require("elsewhere")
local process = require("process")
local test, fails, raises = helper.test, helper.fails, helper.raises

local THRESHOLD = 0.02 -- seconds
local USR1 = 10

-- Works until condition() holds: a Lua function that blocks. It calls C, without
-- which LuaJIT would compile it, and look for no hook.
local function work_until(condition)
  local deadline = os.clock() + 10
  while not condition() do
    if os.clock() > deadline then error("nothing told that the loop blocks", 2) end
  end
end

-- Calls told(report, number) with the reports that show `place`. Any other report means that the
-- machine kept the loop from its wait; that block is not reported again, so the watch is restarted.
local function watch(loop, place, told, signal)
  return assert(loop:set_blocking_signal_threshold(THRESHOLD, function(number, report)
    if report:find(place) then
      told(report, number)
    else
      watch(loop, place, told, signal)
    end
  end, signal))
end

-- Records the reports of the test's loop in the list that it returns.
local function note_reports(t, signal, place)
  local reports = {}
  assert.is_true(watch(t.loop, place or "work_until", function(report, number)
    reports[#reports + 1] = report
    reports.signal = number
  end, signal))
  return reports
end

-- Keeps the loop from its wait until one more report has come.
local function block(reports)
  local count = #reports
  work_until(function() return #reports > count end) -- the line that blocks
end

-- The thread may have been kept from running between the signal and the hook.
local BLOCKED = "^IOLoop blocked for %d+%.%d%d%d seconds[^\n]* in\nstack traceback:"

-- Is the report a traceback through the block() above?
local function check(report)
  assert.matches(BLOCKED, report)
  assert.matches("blocked_spec%.lua:%d+: in .-work_until", report)
  assert.matches("blocked_spec%.lua:%d+: in .-block", report)
end

describe("a loop that blocks", function()
  after_each(helper.cleanup)

  it("is reported once per block, with the lines that block", test(function(t)
    local reports = note_reports(t)
    t.loop:add_callback(t.expect(function()
      block(reports)
      local over = os.clock() + 3 * THRESHOLD
      work_until(function() return os.clock() > over end)
    end))
    t:settle()
    assert.equal(1, #reports)
    check(reports[1])
    t.loop:add_callback(t.expect(function() block(reports) end))
    t:settle()
    assert.equal(2, #reports)
  end))

  it("is reported in a timer, a handler, a signal handler and a stream", test(function(t)
    local reports = note_reports(t)
    local function blocks()
      return t.expect(function() block(reports) end)
    end
    t.loop:call_later(0, blocks())
    t:settle()

    local reader, writer = t:pipe()
    local handle = blocks()
    t.loop:add_handler(reader, function()
      handle()
      t.loop:remove_handler(reader)
    end, "r")
    writer:write("x")
    t:settle()

    t.loop:add_signal_handler("USR1", blocks())
    process.kill(USR1)
    t:settle()

    local pull, push = t:streams("PULL", "PUSH")
    pull:on_recv(blocks())
    push:send("x")
    t:run_until(function() return #reports == 4 end)
    for _, report in ipairs(reports) do check(report) end
  end))

  it("is reported inside a task and a periodic callback", test(function(t)
    local reports = note_reports(t)
    t.loop:spawn(t.expect(function()
      zmqloop.sleep(0)
      block(reports)
    end))
    local periodic
    periodic = zmqloop.PeriodicCallback(t.expect(function()
      periodic:stop()
      block(reports)
    end), 1, t.loop)
    t:run_until(function() return #reports == 1 end)
    periodic:start()
    t:run_until(function() return #reports == 2 end)
    for _, report in ipairs(reports) do check(report) end
  end))

  it("is reported with the lines of the coroutine that runs it", test(function(t)
    local reports = note_reports(t)
    t.loop:add_callback(t.expect(function() block(reports) end))
    coroutine.wrap(function() t.loop:step() end)()
    collectgarbage()
    check(reports[1])
  end))

  it("inside C is reported when C returns, and the report says so", test(function(t)
    local where = rawget(_G, "jit") and "in C or compiled code before it came here" or "inside C"
    local reports = note_reports(t, nil, where)
    t.loop:add_callback(t.expect(function()
      -- once, unless the thread that looks after the loop sleeps longer
      while #reports == 0 do os.execute("sleep 0.1") end
    end))
    t:settle()
    assert.equal(1, #reports)
    assert.matches("^IOLoop blocked for %d+%.%d%d%d seconds, " .. where .. ", in\nstack traceback:",
      reports[1])
    assert.matches("blocked_spec%.lua:%d+: in", reports[1])
  end))

  it("is not told of as long as it comes to its wait", test(function(t)
    local reports, early = 0, 0
    local former, present = t.loop:time(), t.loop:time() -- when the last two turns called
    assert.is_true(t.loop:set_blocking_signal_threshold(THRESHOLD, function()
      reports = reports + 1
      -- a machine with more to do may keep a turn that long
      if t.loop:time() - former < THRESHOLD then early = early + 1 end
    end))
    local deadline = present + 5 * THRESHOLD
    local function again()
      former, present = present, t.loop:time()
      if present < deadline then t.loop:add_callback(again) end
    end
    again()
    t:run_until(function() return t.loop:time() > deadline end)
    assert.equal(0, early)
    local tries = 0
    repeat
      reports, tries = 0, tries + 1
      t.loop:step(2 * THRESHOLD)
    until reports == 0 or tries == 100
    assert.equal(0, reports)
  end))

  it("is not told of any more once seconds are nil, nor after close", test(function(t)
    local reports = note_reports(t)
    assert.is_true(t.loop:set_blocking_signal_threshold(nil))
    local over = os.clock() + 3 * THRESHOLD
    t.loop:add_callback(t.expect(function()
      work_until(function() return os.clock() > over end)
    end))
    t:settle()
    assert.equal(0, #reports)
    note_reports(t)
    t.loop:close()
    rawset(t, "loop", nil)
  end))

  it("can be left by an error of the action, which the loop handles", test(function(t)
    t:expect_errors()
    watch(t.loop, "work_until", function() error("that is enough", 0) end)
    t.loop:add_callback(function() work_until(function() return false end) end)
    t.loop:add_callback(t.expect(function() end))
    t:settle()
    assert.same({"that is enough"}, t.errors)
  end))

  it("is reported by the chosen signal, by name or number", test(function(t)
    local reports = note_reports(t, "USR2")
    t.loop:add_callback(function() block(reports) end)
    t:settle()
    assert.equal(12, reports.signal)
    reports = note_reports(t, 12)
    t.loop:add_callback(function() block(reports) end)
    t:settle()
    assert.equal(12, reports.signal)
  end))

  it("is reported as well as the loop inside which it runs", test(function(t)
    local outer, inner = note_reports(t), {}
    local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
    t:watch(loop)
    watch(loop, "work_until", function(report) inner[#inner + 1] = report end)
    loop:add_callback(function()
      work_until(function() return #outer > 0 and #inner > 0 end)
    end)
    t.loop:add_callback(function() loop:step() end)
    t:settle()
    assert.same({1, 1}, {#outer, #inner})
  end))

  it("is reported even while another loop's report is being made", test(function(t)
    local seconds = 0.001
    for round = 1, 500 do
      local outer, inner = 0, 0
      local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
      t:watch(loop)
      assert(loop:set_blocking_signal_threshold(seconds, function() inner = inner + 1 end))
      loop:add_callback(function()
        work_until(function() return outer > 0 and inner > 0 end)
      end)
      assert(t.loop:set_blocking_signal_threshold(seconds + round * 2e-7, function()
        outer = outer + 1
      end))
      t.loop:add_callback(function() loop:step() end)
      t:settle()
      loop:close()
    end
  end))

  it("leaves a debugger its hook", test(function(t)
    local reports = note_reports(t)
    local lines = 0
    local function count() lines = lines + 1 end
    t.loop:add_callback(t.expect(function()
      local hook, mask, interval = debug.gethook()
      debug.sethook(count, "l")
      block(reports)
      local before = lines
      local found = debug.gethook()
      debug.sethook(hook, mask, interval)
      assert.equal(count, found)
      assert.is_true(lines > before or before > 0)
    end))
    t:settle()
    check(reports[1])
  end))

  it("writes its stack by log_stack, which may be overridden", test(function(t)
    local child = t:child(helper.program("stack_of_a_blocked_loop"))
    local output, status = child:finish()
    assert.equal(0, status, output)
    assert.matches(BLOCKED, output)
    assert.matches(":6: in function", output)
    assert.equal(2, select(2, output:gsub("IOLoop blocked", "")) + 1)
    assert.matches("overridden", output)
  end))

  it("takes its own log_stack as the action", test(function(t)
    local logged
    function t.loop.log_stack(_, _, report) logged = report end
    t.loop:set_blocking_signal_threshold(THRESHOLD, t.loop.log_stack)
    t.loop:add_callback(function() work_until(function() return logged end) end)
    t:settle()
    assert.matches(BLOCKED, logged)
  end))

  it("wants seconds above 0, a callable and a signal", test(function(t)
    local function set(...)
      return t.loop:set_blocking_signal_threshold(...)
    end
    local method = " to 'set_blocking_signal_threshold' "
    raises("bad argument #1" .. method .. "(number of seconds expected, got string)", set, "1",
      print)
    raises("bad argument #1" .. method .. "(seconds must be positive)", set, 0, print)
    raises("bad argument #2" .. method .. "(function or callable expected, got nil)", set, 1)
    raises("bad argument #3" .. method .. "(no signal 'NONE')", set, 1, print, "NONE")
    raises("bad argument #3" .. method .. "(not a signal for handlers)", set, 1, print, "KILL")
  end))

  it("is nobody's to watch in a forked process", test(function(t)
    local loop = t.loop
    assert.is_true(elsewhere.process(function()
      fails("ECHILD", loop:set_blocking_log_threshold(1))
      assert(loop:set_blocking_log_threshold(nil))
    end))
  end))

  it("takes no signal and no thread unless it is asked for", test(function(t)
    t.loop:add_callback(function() end)
    t:settle()
    for number = 34, 64 do
      assert.equal("default", process.disposition(number))
    end
  end))
end)
