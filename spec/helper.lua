-- Shared by all specs, on top of zmqloop.testing: bound and connected sockets, callbacks that are
-- counted and followed by a collection, a watchdog, and child processes that end by themselves.
-- Loaded once by busted before any spec; specs get it with require("spec.helper").
--
-- The body of a test is a task, as in zmqloop.testing; or, to test the loop's own
-- methods, it runs the loop itself:
--
--   it("does a thing", async(function(t)
--     t.loop:add_callback(t.expect(function() t:stop() end))
--     t:wait()
--   end))
--
--   it("does a thing", test(function(t)
--     t.loop:add_callback(t.expect(function() t.loop:stop() end))
--     t:start()
--   end))
--
-- Environment: ZMQLOOP_BACKEND names the backend of the loops ("epoll",
-- "poll"), ZMQLOOP_GC=stress runs the collector at full aggression.
local helper = {}

local zmqloop = require("zmqloop")
local testing = require("zmqloop.testing")

-- Busted forgets loaded modules after each file: the classes must be the same in all files.
for _, name in ipairs({"locks", "monitor", "periodic", "poll", "poller", "queues"}) do
  require("zmqloop." .. name)
end

local unpack = table.unpack or unpack -- luacheck: std max

-- For tests that hang; a busy machine may take half a minute for what takes one second.
local WATCHDOG_SECONDS = 120
local CHILD_SECONDS = 60

helper.backend = os.getenv("ZMQLOOP_BACKEND")

if os.getenv("ZMQLOOP_GC") == "stress" then
  -- From 5.4 on in the mode of short collections; whole ones without end take minutes a file.
  require("spec.collector").set(0, 1000, "generational")
end

--- What error(nil) is caught as: nil, or from 5.5 on a text.
helper.nil_error = select(2, pcall(error))

--- Keeps nils: pack(f()) with the count in n.
function helper.pack(...)
  return {n = select("#", ...), ...}
end

--- The options of a loop for the backend under test.
function helper.loop_options()
  return {impl = helper.backend}
end

helper.finalized = require("spec.collector").finalized

--- Calls fn in a frame of its own: no slot of the caller's stack keeps what it
-- made from being collected.
function helper.apart(fn)
  fn()
  return nil
end

-- --------------------------------------------------------------- answers

--- Expects fn(...) to raise an error that has the text in it, and returns it:
-- errors name the fault.
function helper.raises(text, fn, ...)
  local ok, err = pcall(fn, ...)
  if ok then error("no error, expected: " .. text, 2) end
  if not tostring(err):find(text, 1, true) then
    error(("the error is %s, expected: %s"):format(tostring(err), text), 2)
  end
  return err
end

--- Expects nil, "NAME: text", "NAME", and returns the message.
function helper.fails(name, ...)
  local result, message, got = ...
  if result ~= nil or got ~= name then
    error(("%s, %s, %s instead of the failure %s"):format(tostring(result), tostring(message),
      tostring(got), name), 2)
  end
  if not tostring(message):find("^" .. name .. ": ") then
    error(("the message is %s"):format(tostring(message)), 2)
  end
  return message
end

-- ---------------------------------------------------------------- one test

local T = setmetatable({}, {__index = testing.Test})

local current -- the test now running, for helper.cleanup()
local serial = 0

function T:initialize()
  self.errors = {} -- of callbacks, in order
  self.counters = {} -- what expect() handed out
  self.files = {} -- paths to remove afterwards
  self.expect = function(fn, times) return self:expected_calls(fn, times) end
end

function testing.get_new_ioloop(options)
  options.impl = helper.backend
  return assert(zmqloop.IOLoop(options))
end

-- Where the test runs the loop itself, the next t:start(), t:run_until() or the
-- end of the test raises the first error.
function T:handle_error(callback, err, traceback)
  if self.body then
    testing.Test.handle_error(self, callback, err, traceback)
  else
    self.errors[#self.errors + 1] = err
    if not self.errors_expected then self.loop:stop() end
  end
end

--- Collects the errors of callbacks on another loop.
function T:watch(loop)
  loop:on_error(function(_, err)
    self.errors[#self.errors + 1] = err
    if not self.errors_expected then loop:stop() end
  end)
end

--- From here on errors of callbacks are part of the test: they are kept in
-- t.errors, neither stopping the loop nor failing the test.
function T:expect_errors()
  self.errors_expected = true
end

function T:raise_errors()
  if not self.errors_expected and #self.errors > 0 then
    error(table.remove(self.errors, 1), 0)
  end
end

--- Returns fn as a callback that has to be called exactly `times` times (once
-- if nil) until the end of the test. Garbage is collected before and after
-- each call, so that what only C still sees has to survive it.
function T:expected_calls(fn, times)
  local counter = {
    expected = times or 1,
    calls = 0,
    where = debug.traceback("", 2):match("([%w_]+_spec%.lua:%d+)") or "?",
  }
  self.counters[#self.counters + 1] = counter
  return function(...)
    counter.calls = counter.calls + 1
    collectgarbage()
    local results = helper.pack(fn(...))
    collectgarbage()
    return unpack(results, 1, results.n)
  end
end

function T:check_calls()
  for _, counter in ipairs(self.counters) do
    if counter.calls ~= counter.expected then
      error(("callback of %s: called %d times, not %d"):format(
        counter.where, counter.calls, counter.expected), 0)
    end
  end
end

function T:finish()
  testing.Test.finish(self)
  self:check_calls()
end

--- As testing.Test:wait_until(), with the time of the watchdog.
function T:wait_until(condition, seconds)
  return testing.Test.wait_until(self, condition, seconds or WATCHDOG_SECONDS)
end

--- Runs the loop until something stops it; fails when nothing does.
function T:start(seconds)
  local bitten
  local dog = self.loop:call_later(seconds or WATCHDOG_SECONDS, function()
    bitten = true
    self.loop:stop()
  end)
  local started = self.loop:start()
  dog:cancel()
  self:raise_errors()
  if bitten then error("watchdog: nothing stopped the loop", 2) end
  return started
end

--- Steps the loop until condition() holds; fails when it never does.
function T:run_until(condition, seconds)
  local deadline = self.loop:time() + (seconds or WATCHDOG_SECONDS)
  while not condition() do
    self.loop:step(0.05)
    self:raise_errors()
    if self.loop:time() > deadline then
      error("watchdog: the condition never became true", 2)
    end
  end
end

--- Lets everything that is due happen: steps until nothing is handled.
function T:settle()
  repeat
    local handled, more = self.loop:step(0)
    self:raise_errors()
  until handled == 0 and not more
end

--- A path that no other test uses; what is made there is removed afterwards.
function T:tmpname()
  local name = os.tmpname()
  os.remove(name)
  self.files[#self.files + 1] = name
  return name
end

--- An address that no other test uses: "inproc" (default), "ipc" or, for bind
-- with a wild card, "tcp".
function T:address(transport)
  serial = serial + 1
  if transport == "ipc" then return "ipc://" .. self:tmpname() end
  if transport == "tcp" then return "tcp://127.0.0.1:*" end
  return "inproc://spec-" .. serial
end

--- Binds socket or stream to a fresh address and returns the endpoint.
function T:bind(socket, transport)
  assert(socket:bind(self:address(transport)))
  return (socket:get("last_endpoint"))
end

--- Two connected sockets: the first bound, the second connected.
function T:pair(bound, connected, transport)
  local a, b = self:socket(bound), self:socket(connected)
  assert(b:connect(self:bind(a, transport)))
  return a, b
end

--- Two connected streams: the first bound, the second connected.
function T:streams(bound, connected, transport)
  local a, b = self:stream(bound), self:stream(connected)
  assert(b:connect(self:bind(a, transport)))
  return a, b
end

--- Both ends of a pipe as unbuffered Lua files: reader, writer.
function T:pipe()
  local path = self:tmpname()
  assert(os.execute("mkfifo " .. path))
  local reader, writer = assert(io.open(path, "r+")), assert(io.open(path, "r+"))
  os.remove(path)
  reader:setvbuf("no")
  writer:setvbuf("no")
  return self:keep(reader), self:keep(writer)
end

function T:close()
  if self.body then
    testing.Test.close(self)
  else
    self:close_kept()
    if rawget(self, "loop") then self.loop:close() end
    if rawget(self, "ctx") then self.ctx:destroy(0) end
  end
  for _, name in ipairs(self.files) do os.remove(name) end
end

--- Makes the body of an `it` from body(t), which runs the loop itself. The options
-- are those of testing.async() that say something of the loop: {clock="virtual"}.
function helper.test(body, options)
  return function()
    helper.cleanup()
    local t = testing.Test.new(T, options)
    current = t
    body(t)
    t:raise_errors()
    t:check_calls()
  end
end

--- To be given to after_each(): closes all that the test left behind.
function helper.cleanup()
  local t = current
  current = nil
  if t then t:close() end
  collectgarbage()
end

--- Makes the body of an `it` from body(t), which is a task: as testing.async(),
-- with the methods of this helper.
function helper.async(body, options)
  local merged = {class = T}
  for name, value in pairs(options or {}) do merged[name] = value end
  if merged.clock ~= "virtual" then merged.timeout = merged.timeout or WATCHDOG_SECONDS end
  return testing.async(body, merged)
end

-- --------------------------------------------------------- child processes

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end
helper.quote = quote

-- The interpreter that runs this: the first word of its command line.
local function interpreter()
  local first = 0
  while arg and arg[first - 1] do first = first - 1 end
  if first < 0 then return arg[first] end
  return "lua"
end
helper.interpreter = interpreter()

--- The path of a file that the build has put beside the modules for tests, or nil.
function helper.built(name)
  for template in package.cpath:gmatch("[^;]+") do
    local path = (template:match("^.*/") or "") .. name
    local file = io.open(path, "r")
    if file then
      file:close()
      return path
    end
  end
end

--- Writes a script that finds the modules this process finds; `...` of the
-- script are its arguments. Line numbers stay those of source.
function T:script(source)
  local path = self:tmpname()
  local file = assert(io.open(path, "w"))
  file:write(("package.path, package.cpath = %q, %q "):format(package.path, package.cpath))
  file:write("local zmqloop = require('zmqloop') ")
  file:write(("local BACKEND = %s "):format(
    helper.backend and ("%q"):format(helper.backend) or "nil"))
  file:write("local function new_loop() return zmqloop.IOLoop{impl = BACKEND} end ")
  file:write("io.stdout:setvbuf('line') ")
  file:write(source)
  file:close()
  return path
end

--- The source of spec/programs/NAME.lua, for script(), child() and run_child().
function helper.program(name)
  local file = assert(io.open("spec/programs/" .. name .. ".lua"))
  local source = file:read("*a")
  file:close()
  return source
end

local Child = {}
Child.__index = Child

-- Under a sanitizer that is preloaded, leaks are looked for in this process: the
-- end of a child that leaves in the middle of things is no leak.
helper.SANITIZER = os.getenv("LD_PRELOAD")
  and 'export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0"; ' or ""

--- Starts a command under a time limit. Its standard output and error come
-- from child:line() and child:finish().
function helper.command(command, seconds, setting)
  local shell = ("%stimeout -s KILL %d sh -c %s 2>&1; echo \"status $?\""):format(
    helper.SANITIZER, seconds or CHILD_SECONDS,
    quote((setting or "") .. "echo $$; exec " .. command))
  local file = assert(io.popen(shell, "r"))
  local pid = assert(tonumber(file:read("*l")), "the child gave no pid")
  return setmetatable({pid = pid, file = file}, Child)
end

--- Starts source in an interpreter of the kind that runs this test. setting is
-- shell code before it, such as "ulimit -n 64;".
function T:child(source, args, seconds, setting)
  local words = {quote(helper.interpreter), self:script(source)}
  for _, word in ipairs(args or {}) do words[#words + 1] = quote(tostring(word)) end
  local child = helper.command(table.concat(words, " "), seconds, setting)
  return self:keep(child)
end

--- The next line of output; nil at its end.
function Child:line()
  return self.file:read("*l")
end

--- Sends a signal, such as "INT".
function Child:kill(signal)
  os.execute(("kill -%s %d 2>/dev/null"):format(signal, self.pid))
end

--- Waits until the child stays asleep, that is, until it is in its wait and libzmq's threads are
-- done with it; a signal just before would interrupt nothing. Without /proc it does not wait.
function Child:wait_asleep()
  local before
  for _ = 1, 200 do
    local status = io.open(("/proc/%d/status"):format(self.pid))
    if not status then return end
    local text = status:read("*a")
    status:close()
    local now = text:match("State:%s*S") and text:match("\nvoluntary_ctxt_switches:%s*(%d+)")
    if now and now == before then return end
    before = now
    os.execute("sleep 0.05")
  end
end

--- Waits for the end. Returns the rest of the output and the exit status: 124
-- or 137 when the time limit had to end it, 128 + n when signal n did.
function Child:finish()
  if self.status then return self.output, self.status end
  local all = self.file:read("*a") or ""
  self.file:close()
  local output, status = all:match("^(.-)status (%d+)\n$")
  self.output, self.status = output or all, tonumber(status)
  return self.output, self.status
end

function Child:close()
  if self.status then return end
  self:kill("KILL")
  self:finish()
end

--- Runs source to its end: output, status.
function T:run_child(source, args, seconds, setting)
  return self:child(source, args, seconds, setting):finish()
end

package.loaded["spec.helper"] = helper
return helper
