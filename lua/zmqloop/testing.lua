--- zmqloop.testing: tests of code that runs on a loop, with busted or any other runner.
-- Names of Tornado's testing. The body of a test is a task on a loop of its own, so it may wait:
--
--   it("answers", async(function(t)
--     local client = t:stream("REQ", {connect = address})
--     client:on_recv(function(frames) t:stop(frames) end)
--     client:send("question")
--     assert.same({"answer"}, t:wait())
--   end, {timeout = 2}))
--
-- A test fails on an error in its body or in a callback, on timeout, and if it leaves something
-- open: a handler, stream, timeout or signal handler of its loop, a task, a socket, a descriptor.
local core = require("zmqloop.core")
local check = require("zmqloop.check")
local future = require("zmqloop.async.future")
local ioloop = require("zmqloop.ioloop")
local report = require("zmqloop.report")
local task = require("zmqloop.async.task")
local zmq = require("zmqloop.zmq")
local zmqstream = require("zmqloop.zmqstream")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local misuse = core.misuse
local IOLoop, Future = ioloop.IOLoop, future.Future
local unpack = require("zmqloop.compat").unpack

local testing = {}

local DEFAULT_SECONDS = 5
-- The timeout with a virtual clock: a test that waits for nothing ends at once, however long this
-- is.
local VIRTUAL_SECONDS = 365 * 86400
-- How many iterations the loop runs to let closed or cancelled things end.
local LAST_ITERATIONS = 10
-- How often, and for how many seconds, to wait for libzmq's threads.
local LOOKS, LOOK_SECONDS = 50, 0.02

local current -- the test that runs

local function pack(...)
  return {n = select("#", ...), ...}
end

local function source_of(callback)
  if type(callback) ~= "function" then
    return tostring(callback)
  end
  local info = debug.getinfo(callback, "S")
  return info.what == "C" and tostring(callback)
    or ("%s:%d"):format(info.short_src, info.linedefined)
end

-- ---- hooks and settings -------------------------------------------------------------------------

--- Creates the loop of a test. Can be replaced, here or by the option of async(). It gets options
-- for IOLoop(), {clock=}. A loop that is IOLoop.instance() is not closed after the test.
function testing.get_new_ioloop(options)
  return assert(IOLoop.new(options))
end

--- The default timeout of a test or a wait() in seconds: the environment's ASYNC_TEST_TIMEOUT, or
-- 5.
function testing.get_async_test_timeout()
  local text = os.getenv("ASYNC_TEST_TIMEOUT")
  local seconds = tonumber(text)
  if text and not seconds then
    misuse(("ASYNC_TEST_TIMEOUT is no number: '%s'"):format(text))
  end
  return seconds or DEFAULT_SECONDS
end

-- ---- one test -----------------------------------------------------------------------------------

--- The argument of a test's body.
--   loop, io_loop  the loop it runs on
--   ctx            a context of its own, made at first use; its sockets are closed after the test
local Test = {}

-- Fields of a test that are created on first use.
local make = {}

-- The loop, which reports its errors to the test.
function make.loop(test)
  local hook = test.options.get_new_ioloop or testing.get_new_ioloop
  local loop = hook{clock = test.options.clock}
  loop:on_error(function(...) test:handle_error(...) end)
  return loop
end

-- PyZMQ's name of it.
function make.io_loop(test)
  return test.loop
end

-- The context.
function make.ctx()
  return assert(zmq.Context())
end

--- Creates a test of the class, Test or a table derived from it, outside any runner; options are
-- those of async(). The caller must close() it.
function Test.new(class, options)
  local test = setmetatable({
    options = options or {},
    open = {}, -- the objects given to keep()
    tasks = {}, -- tasks of the loop that have not failed
    failures = setmetatable({}, {__mode = "v"}), -- failed futures of the loop
    failed_count = 0, -- how many there have been
    expected = {}, -- what expect_log() expects
    body = nil, -- its task
    source = nil, -- where its function is defined
    failed = false,
    failure = nil, -- the first error, if it has failed
    stopped = nil, -- future of the next stop(), whose results are true and stop()'s arguments
    waiting = nil, -- the same future, while wait() waits for it
  }, {
    __index = function(test, key)
      if make[key] then
        rawset(test, key, make[key](test))
        return rawget(test, key)
      end
      return class[key]
    end,
  })
  test:initialize()
  return test
end

--- Called by the constructor, for derived classes.
function Test:initialize() -- luacheck: ignore 212
end

-- Whether the loop is IOLoop.instance(), which existed before the test and outlives it.
function Test:has_instance()
  return IOLoop.initialized() and self.loop == IOLoop.instance()
end

-- From now on records all tasks of the loop, including waiting callbacks.
function Test:note_tasks()
  local tasks = self.tasks
  local function note(new)
    tasks[#tasks + 1] = new
    return new
  end
  self.loop.spawn = function(...) return note(IOLoop.spawn(...)) end
  task.watch_callbacks(self.loop, note)
  future.watch_failures(self.loop, function(failed) self:note_failure(failed) end)
end

-- An error is reported when nothing can look at it any more: collects garbage once the tasks that
-- wait for the future have run.
function Test:note_failure(failed)
  for i = #self.tasks, 1, -1 do
    if self.tasks[i] == failed then
      table.remove(self.tasks, i)
      break
    end
  end
  local place = self.failed_count + 1
  self.failed_count = place
  self.failures[place] = failed
  if self.loop:running() then
    self.loop:add_callback(function()
      if self.failures[place] and self.failures[place].failure then
        collectgarbage()
      end
    end)
  end
end

-- Only the first error counts.
function Test:fail(err)
  if self.failed then
    return false
  end
  self.failed, self.failure = true, err
  return true
end

-- Notes what is wrong with the test as a whole; nil does not fail it.
function Test:complain(message)
  if message then
    self:fail(("%s: %s"):format(self.source, message))
  end
end

local function expects(test, text)
  for _, expected in ipairs(test.expected) do
    if text:find(expected.pattern) then
      expected.matched = true
      expected.count = expected.count + 1
      return true
    end
  end
  return false
end

--- Called with the errors of callbacks. The first one ends the test, unless it is expected: wait()
-- raises it, or else the body is cancelled.
function Test:handle_error(callback, err, traceback)
  local text = ("%s\n%s"):format(report.heading(callback), tostring(traceback))
  if expects(self, text) then
    return
  end
  local waiting = self.waiting
  if waiting and not waiting:done() then
    waiting:set_result(false, err)
  elseif waiting and not waiting:cancelled() or not self:fail(err) then
    report.write("multiple unhandled exceptions in test: " .. text)
  elseif self.body then
    self.body:cancel()
  end
end

--- Closes the object after the test, before the check for what is left open, by its method close()
-- or the named one, such as "stop"; last in, first closed. Returns it.
function Test:keep(object, method)
  method = method or "close"
  local found, closer = pcall(function() return object[method] end)
  if not found or not core.is_callable(closer) then
    check.expected("keep", 1, ("object with a method '%s'"):format(method), object)
  end
  self.open[#self.open + 1] = {object, method}
  return object
end

--- A new socket of t.ctx, kept, without linger unless options say otherwise.
function Test:socket(kind, options)
  local merged = {linger = 0}
  for name, value in pairs_of(options or {}) do
    merged[name] = value
  end
  return self:keep(assert(self.ctx:socket(kind, merged)))
end

--- A new stream on such a socket, on t.loop, kept.
function Test:stream(kind, options)
  return self:keep(zmqstream.ZMQStream(self:socket(kind, options), self.loop))
end

--- Closes the objects given to keep(), the last one first.
function Test:close_kept()
  while #self.open > 0 do
    local object, method = unpack(table.remove(self.open))
    if io.type(object) ~= "closed file" then
      object[method](object)
    end
  end
end

--- Closes everything: what was kept, the loop with all that is registered, the context.
function Test:close()
  self:close_kept()
  local loop = rawget(self, "loop")
  if loop and self:has_instance() then
    loop.spawn = nil
    loop:on_error(nil)
    task.watch_callbacks(loop, nil)
    future.watch_failures(loop, nil)
  elseif loop then
    loop:close(true)
  end
  if rawget(self, "ctx") then
    self.ctx:destroy(0)
  end
end

-- ---- wait and stop ------------------------------------------------------------------------------

--- Ends the current or next wait(), which returns these arguments. Can be used as a callback, from
--- anywhere.
function Test:stop(...)
  if not self.stopped or self.stopped:done() then
    self.stopped = Future.new(self.loop)
  end
  self.stopped:set_result(true, ...)
end

-- Waits for the next stop(). Returns true and its arguments; false and the error of a callback; or
-- nil after the deadline, if there is one.
local function await_stop(test, deadline)
  local stopped = test.stopped or Future.new(test.loop)
  test.stopped, test.waiting = stopped, stopped
  local timer = deadline and test.loop:call_at(deadline, function()
    if not stopped:done() then
      stopped:set_result(nil)
    end
  end)
  stopped:add_done_callback(function()
    if timer then
      timer:cancel()
    end
  end)
  local results = pack(stopped:await())
  test.stopped, test.waiting = nil, nil
  return results
end

--- Suspends the test until stop() is called, unless it was called before; returns the arguments of
-- stop(). With a condition, waits until condition() is true after a stop(). Raises the error of a
-- callback, and "Async operation timed out after N seconds"; the time is by default that of
-- get_async_test_timeout(), and 0 is no limit. wait(seconds) is wait(nil, seconds).
function Test:wait(condition, timeout)
  if type(condition) == "number" then
    condition, timeout = nil, condition
  end
  if condition ~= nil then
    core.check_callable("wait", 1, condition)
  end
  local seconds = timeout or testing.get_async_test_timeout()
  local deadline = seconds > 0 and self.loop:time() + seconds
  local results
  repeat
    results = await_stop(self, deadline)
    if results[1] == false then
      error(results[2], 0)
    elseif not results[1] then
      misuse(("Async operation timed out after %s seconds"):format(core.number_text(seconds)))
    end
  until not condition or condition()
  return unpack(results, 2, results.n)
end

--- Suspends the test until condition() is true, which is checked every millisecond of the loop's
-- clock. On timeout raises as wait() does.
function Test:wait_until(condition, timeout)
  core.check_callable("wait_until", 1, condition)
  local seconds = timeout or testing.get_async_test_timeout()
  local deadline = self.loop:time() + seconds
  while not condition() do
    if self.loop:time() >= deadline then
      misuse(("Async operation timed out after %s seconds"):format(core.number_text(seconds)))
    end
    task.sleep(0.001)
  end
end

-- ---- logs ---------------------------------------------------------------------------------------

local log_options = {required = true}

local function check_options(method, argument, options, known)
  for name in pairs_of(options) do
    if not known[name] then
      core.unknown_option(method, argument, name, known)
    end
  end
end

local function missing_log(expected)
  if expected.required and not expected.matched then
    return ("did not get an expected log message: '%s'"):format(expected.pattern)
  end
end

--- Expects errors of callbacks: those whose report, such as "Exception in callback main.lua:12:"
-- with the traceback, matches the Lua pattern do not fail the test. Instead it fails if there is
-- no such error by its end or, with fn, by the time fn() has returned; unless {required = false}.
-- Returns a table whose fields `matched` and `count` say whether there was one, and how many; or
-- what fn returned.
function Test:expect_log(pattern, options, fn)
  if core.is_callable(options) and fn == nil then
    options, fn = nil, options
  end
  if type(pattern) ~= "string" then
    check.expected("expect_log", 1, "pattern", pattern)
  end
  check_options("expect_log", 2, options or {}, log_options)
  local expected = {
    pattern = pattern,
    required = not options or options.required ~= false,
    matched = false,
    count = 0, -- how many matched
  }
  table.insert(self.expected, 1, expected) -- the last one is checked first
  if not fn then
    return expected
  end
  local results = pack(fn())
  for i, other in ipairs(self.expected) do
    if other == expected then
      table.remove(self.expected, i)
    end
  end
  local missing = missing_log(expected)
  if missing then
    misuse(missing)
  end
  return unpack(results, 1, results.n)
end

-- ---- what is left open --------------------------------------------------------------------------

-- Everything open in Context.instance() and the process: key -> what it is.
local function opened()
  local found = core.open_descriptors()
  for _, socket in ipairs(core.open_sockets(zmq.Context.instance())) do
    found[socket] = tostring(socket)
  end
  return found
end

local function opened_since(before)
  local list = {}
  for key, what in pairs_of(opened()) do
    if before[key] ~= what then
      list[#list + 1] = type(key) == "number" and ("descriptor %d, a %s"):format(key,
        what:match("^%a+")) or what
    end
  end
  return list
end

-- Tasks that are not done.
function Test:open_tasks()
  local list = {}
  for _, other in ipairs(self.tasks) do
    if not other:done() then
      list[#list + 1] = other
    end
  end
  return list
end

-- Errors not yet looked at, of tasks and futures that are still referenced.
function Test:report_failures()
  for i = 1, self.failed_count do
    local other = self.failures[i]
    local failure = other and other.failure
    if failure and not failure.seen then
      failure.seen = true
      self:handle_error(failure.callback, other:error(), failure.traceback)
    end
  end
end

-- What would still run if the loop did.
function Test:left_open()
  local list = {}
  for _, open in ipairs(self:open_tasks()) do
    list[#list + 1] = tostring(open)
  end
  for _, handle in ipairs(self:has_instance() and {} or core.active_handles(self.loop)) do
    local kind, what = handle[1], handle[2]
    list[#list + 1] = kind == "stream" and tostring(what) or ("%s %s"):format(kind,
      kind == "timeout" and "of " .. source_of(what) or tostring(what))
  end
  return list
end

-- Complains of the list of things left open.
function Test:complain_of_open(list)
  if #list > 0 and self.options.left_open ~= "close" then
    self:complain("left open: " .. table.concat(list, "; "))
  end
end

-- ---- running ------------------------------------------------------------------------------------

local function stop_loop(loop)
  loop:stop()
end

local function body_is_late(test, seconds)
  if test.body:done() then
    return
  end
  test:complain(("%s, at\n%s"):format(
    seconds == VIRTUAL_SECONDS and "Operation waits for nothing that will come"
      or ("Operation timed out after %s seconds"):format(core.number_text(seconds)),
    test.body:traceback()))
  test.body:cancel()
  test.loop:add_callback(test.loop.add_callback, test.loop, stop_loop, test.loop)
end

local function time_limit(options)
  return options.timeout or options.clock == "virtual" and VIRTUAL_SECONDS
    or testing.get_async_test_timeout()
end

-- A result is likely to be a future that was not awaited.
function Test:check_results(results)
  for i = 1, results.n do
    if results[i] ~= nil then
      self:complain("Return value from test method ignored: " .. tostring(results[i]))
    end
  end
end

-- Runs the body until it ends or times out.
function Test:run(fn, ...)
  self.source = source_of(fn)
  self:note_tasks()
  local loop, arguments, seconds = self.loop, pack(...), time_limit(self.options)
  self.body = loop:spawn(function()
    self:check_results(pack(fn(self, unpack(arguments, 1, arguments.n))))
  end)
  self.body:add_done_callback(function() loop:stop() end)
  local timer = loop:call_later(seconds, body_is_late, self, seconds)
  loop:start()
  timer:cancel()
  if self.body:done() and self.body:error() ~= nil then
    self:fail(self.body:error())
  elseif not self.body:done() then
    self:complain("the loop was stopped before the test was done")
    self.body:cancel()
  end
end

-- Lets closed and cancelled things end.
function Test:let_end()
  for _ = 1, LAST_ITERATIONS do
    local handled, more = self.loop:step(0)
    if handled == 0 and not more then
      return
    end
  end
end

-- Waits until condition() is true, without running the test's loop.
local function wait_for_libzmq(condition)
  if condition() then
    return
  end
  local loop = assert(IOLoop.new())
  for _ = 1, LOOKS do
    loop:step(LOOK_SECONDS)
    if condition() then
      break
    end
  end
  loop:close()
end

-- Waits until the monitors of closed sockets have ended.
function Test:let_monitors_end()
  wait_for_libzmq(function()
    self:let_end()
    for _, handle in ipairs(core.active_handles(self.loop)) do
      local kind, what = handle[1], handle[2]
      if kind == "stream" and core.is_ending_monitor and core.is_ending_monitor(what) then
        return false
      end
    end
    return true
  end)
end

-- Checks what a finished test has left open, then ends it.
function Test:finish()
  self:close_kept()
  self:let_monitors_end()
  self:report_failures()
  self:complain_of_open(self:left_open())
  for _, open in ipairs(self:open_tasks()) do
    open:cancel()
  end
  self:let_end()
  for _, expected in ipairs(self.expected) do
    self:complain(missing_log(expected))
  end
end

-- libzmq closes a socket's descriptors a moment later, in its own thread, and the collector closes
-- unreferenced objects.
local function wait_until_closed(before)
  local list = opened_since(before)
  if #list == 0 then
    return list
  end
  collectgarbage()
  wait_for_libzmq(function()
    list = opened_since(before)
    return #list == 0
  end)
  return list
end

local function run_test(test, fn, ...)
  local before = opened()
  for _, act in ipairs{
    function(...) test:run(fn, ...) end,
    function() test:finish() end,
    function() test:close() end,
    function() test:complain_of_open(wait_until_closed(before)) end,
  } do
    local ok, err = pcall(act, ...)
    if not ok then
      test:fail(err)
    end
  end
end

local async_options = {
  timeout = true, clock = true, get_new_ioloop = true, left_open = true, class = true,
}

--- Returns the function to pass to `it` for a test whose body is fn(t, ...). It runs fn as a task
-- on a new loop, raises an error if the test fails, and closes the loop with everything registered
-- on it. fn may wait; it must not return anything. options:
--   timeout         seconds that the body may take; by default get_async_test_timeout(), with a
--                   virtual clock for ever, as then a test that waits for nothing fails at once
--   clock           "virtual": of the loop, see advance(); time passes while the body sleeps
--   get_new_ioloop  makes the loop, in place of testing.get_new_ioloop
--   left_open       "close": what is left open is closed, without failing the test
--   class           table derived from testing.Test, with further methods for t
function testing.async(fn, options)
  options = options or {}
  core.check_callable("async", 1, fn)
  check_options("async", 2, options, async_options)
  return function(...)
    if current then
      misuse("a test wrapped by async() is running already")
    end
    local test = Test.new(options.class or Test, options)
    current = test
    run_test(test, fn, ...)
    current = nil
    if test.failed then
      error(test.failure, 0)
    end
  end
end

local function running_test(method)
  if not current then
    misuse(("%s: only inside a test wrapped by async()"):format(method))
  end
  return current
end

--- t:wait() of the running test.
function testing.wait(...)
  return running_test("wait"):wait(...)
end

--- t:stop() of the running test.
function testing.stop(...)
  running_test("stop"):stop(...)
end

--- t:expect_log() of the running test.
function testing.expect_log(...)
  return running_test("expect_log"):expect_log(...)
end

-- ---- ports --------------------------------------------------------------------------------------

local Listener = {}
Listener.__index = Listener
Listener.__name = "zmqloop.Listener"

--- Its descriptor's number; nil if closed. add_handler() asks for it.
function Listener:fileno()
  return self.fd
end

--- Closes it. Closing twice is silent.
function Listener:close()
  local fd = self:release()
  if fd then
    core.close_fd(fd)
  end
end

--- Returns its descriptor's number, which then belongs to the caller: for the option use_fd of a
-- socket, which can then bind to the port without a race.
function Listener:release()
  local fd = self.fd
  self.fd = nil
  return fd
end

function Listener:__tostring()
  return self.fd and ("Listener (descriptor %d, port %d)"):format(self.fd, self.port)
    or "Listener (closed)"
end

--- Binds a listening, non-blocking TCP socket to an unused port. Returns it, with the methods
-- fileno, close and release, and the port; or nil, message, name. The address is numeric, by
-- default 127.0.0.1. Inside a test it is closed at the end of the test.
function testing.bind_unused_port(reuse_port, address)
  local fd, port, name = core.listen(address or "127.0.0.1", reuse_port)
  if not fd then
    return nil, port, name
  end
  local listener = setmetatable({fd = fd, port = port}, Listener)
  if current then
    current:keep(listener)
  end
  return listener, port
end

testing.Test = Test

return testing
