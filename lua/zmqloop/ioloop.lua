--- zmqloop.ioloop: the loop, and periodic and delayed callbacks.
-- Names and semantics of PyZMQ's eventloop.ioloop and Tornado's IOLoop. Times are seconds, except
-- in DelayedCallback and PeriodicCallback, which count in milliseconds.
local core = require("zmqloop.core")

local IOLoop = core.IOLoop
IOLoop.__index = IOLoop

IOLoop.NONE = 0
IOLoop.READ = 1
IOLoop.WRITE = 4
IOLoop.ERROR = 24

IOLoop.spawn_callback = IOLoop.add_callback
IOLoop.add_callback_from_signal = IOLoop.add_callback

-- ---- which loop ------------------------------------------------------------------------------

-- One Lua state is one thread, so what PyZMQ keeps per process and thread is kept per state.
local instance, current

local option_names = {impl = true}

local function check_options(options)
  if options == nil then
    return {}
  elseif type(options) ~= "table" then
    error(("bad argument #1 to 'IOLoop' (table expected, got %s)"):format(type(options)), 3)
  end
  for name in pairs(options) do
    if not option_names[name] then
      error(("bad argument #1 to 'IOLoop' (unknown option '%s')"):format(tostring(name)), 3)
    end
  end
  local impl = options.impl
  if impl ~= nil and impl ~= "epoll" and impl ~= "poll" then
    error(("bad argument #1 to 'IOLoop' (impl is 'epoll' or 'poll', not '%s')"):format(
      tostring(impl)), 3)
  end
  return options
end

local function is_open(loop)
  return loop ~= nil and not loop:closed()
end

--- Makes a loop. {impl=} is "epoll" or "poll"; the default is the system's best.
-- Returns nil, message, name if the system refuses (EMFILE).
function IOLoop.new(options)
  return core.new_loop(IOLoop, check_options(options).impl or "default")
end

setmetatable(IOLoop, {
  __call = function(_, options) return IOLoop.new(options) end,
})

--- The state's global loop, made at the first call.
function IOLoop.instance()
  if not is_open(instance) then
    instance = assert(IOLoop.new())
  end
  return instance
end

--- Whether the global loop has been made.
function IOLoop.initialized()
  return is_open(instance)
end

--- The running loop, else the one made current, else instance().
function IOLoop.current()
  local running = core.running_loop()
  if running then
    return running
  elseif is_open(current) then
    return current
  end
  return IOLoop.instance()
end

--- Forgets make_current().
function IOLoop.clear_current()
  current = nil
end

--- Makes this the loop that IOLoop.current() returns while none runs.
function IOLoop:make_current()
  current = self
end

--- Makes this the loop that IOLoop.instance() returns. Raises if there is another one.
function IOLoop:install()
  if is_open(instance) and instance ~= self then
    error("IOLoop already initialized", 2)
  end
  instance = self
end

-- ---- closing ---------------------------------------------------------------------------------

local function close_object(object)
  if type(object) == "number" then
    assert(core.close_fd(object))
  elseif object.close then
    object:close()
  end
end

--- Closes the loop: timers, handlers and callbacks are forgotten, streams are closed.
-- With all_fds also closes what was registered: objects by their own close method, numbers as
-- descriptors, streams with their sockets. Raises inside a callback of this loop, and, when all
-- else is done, the first error of a close method. Closing twice is silent.
function IOLoop:close(all_fds)
  local failed, failure = false, nil
  if all_fds and not self:closed() and not self:running() then
    for _, object in ipairs(core.loop_objects(self)) do
      local ok, err = pcall(close_object, object)
      if not ok and not failed then
        failed, failure = true, err
      end
    end
  end
  core.close_loop(self)
  if failed then
    error(failure, 0)
  end
end

-- ---- errors ----------------------------------------------------------------------------------

--- Called with the error of a callback, and its traceback; overridable by loop and by class.
-- The default writes it to io.stderr, and the loop goes on. See on_error().
function IOLoop.handle_callback_exception(_, callback, _, traceback)
  io.stderr:write("Exception in callback ", tostring(callback), ":\n", tostring(traceback), "\n")
end

-- ---- callbacks by the millisecond --------------------------------------------------------------

local function check_callable(class, callback)
  if not core.is_callable(callback) then
    error(("bad argument #1 to '%s' (function or callable expected, got %s)"):format(class,
      type(callback)), 3)
  end
end

local function check_milliseconds(class, value)
  if type(value) ~= "number" or value ~= value then
    error(("bad argument #2 to '%s' (number of milliseconds expected, got %s)"):format(class,
      type(value)), 3)
  end
end

local function check_loop(class, loop)
  if loop ~= nil and type(loop) ~= "userdata" then
    error(("bad argument #3 to '%s' (IOLoop expected, got %s)"):format(class, type(loop)), 3)
  end
end

local DelayedCallback = {}
DelayedCallback.__index = DelayedCallback
DelayedCallback.__name = "zmqloop.DelayedCallback"

--- Calls `callback` once, `callback_time` milliseconds after start().
-- PyZMQ's DelayedCallback. The loop is IOLoop.current() at start() unless given.
function DelayedCallback.new(callback, callback_time, io_loop)
  check_callable("DelayedCallback", callback)
  check_milliseconds("DelayedCallback", callback_time)
  check_loop("DelayedCallback", io_loop)
  return setmetatable({
    callback = callback,
    callback_time = callback_time, -- milliseconds
    io_loop = io_loop,
    timeout = nil, -- handle of the loop, while started
  }, DelayedCallback)
end

--- Starts the time; a started one is left alone.
function DelayedCallback:start()
  if self:is_running() then
    return
  end
  local loop = self.io_loop or IOLoop.current()
  self.timeout = loop:call_later(self.callback_time / 1000, self.callback)
end

--- Puts it to rest; it can be started again.
function DelayedCallback:stop()
  if self.timeout then
    self.timeout:cancel()
    self.timeout = nil
  end
end

--- Whether it was started and has neither fired nor been stopped.
function DelayedCallback:is_running()
  return self.timeout ~= nil and self.timeout:active()
end

function DelayedCallback:__tostring()
  return ("DelayedCallback (%g ms, %s)"):format(self.callback_time,
    self:is_running() and "running" or "stopped")
end

local PeriodicCallback = {}
PeriodicCallback.__index = PeriodicCallback
PeriodicCallback.__name = "zmqloop.PeriodicCallback"

local periodic_options = {jitter = true, immediate = true, missed = true, io_loop = true}

local function check_periodic_options(options)
  for name in pairs(options) do
    if not periodic_options[name] then
      error(("bad argument #3 to 'PeriodicCallback' (unknown option '%s')"):format(
        tostring(name)), 3)
    end
  end
  local missed = options.missed
  if missed ~= nil and missed ~= "skip" and missed ~= "burst" then
    error("bad argument #3 to 'PeriodicCallback' (missed is 'skip' or 'burst')", 3)
  end
  check_loop("PeriodicCallback", options.io_loop)
  return options
end

--- Calls `callback` every `callback_time` milliseconds, on the grid of start().
-- Tornado's PeriodicCallback: the first call comes one period after start(); cycles missed by a
-- long callback are skipped, so the grid is kept and calls never bunch. The third argument is the
-- loop, by default IOLoop.current() at start(), or options:
--   jitter     each period is varied by up to half this fraction either way
--   immediate  the first call comes in the next iteration
--   missed     "skip", or "burst" to make up for missed cycles
--   io_loop    the loop
function PeriodicCallback.new(callback, callback_time, loop_or_options)
  check_callable("PeriodicCallback", callback)
  check_milliseconds("PeriodicCallback", callback_time)
  if callback_time <= 0 then
    error("Periodic callback must have a positive callback_time", 2)
  end
  local options = loop_or_options
  if type(options) ~= "table" then
    check_loop("PeriodicCallback", loop_or_options)
    options = {io_loop = loop_or_options}
  end
  check_periodic_options(options)
  return setmetatable({
    callback = callback,
    callback_time = callback_time, -- milliseconds; may be changed, for the next period
    io_loop = options.io_loop,
    jitter = options.jitter or 0,
    immediate = options.immediate or false,
    missed = options.missed or "skip",
    running_loop = nil, -- the loop it was started on, while it runs
    next_time = nil, -- when the next call is due, on the loop's clock
    timeout = nil, -- handle of the loop
  }, PeriodicCallback)
end

-- Moves next_time to the next point of the grid, and with `missed` "skip" to the first one after
-- `now`. A clock that went back does not make it wait for the past to come again: it is one period
-- from the last point.
local function advance(self, now)
  local period = self.callback_time / 1000
  if self.jitter > 0 then
    period = period * (1 + self.jitter * (math.random() - 0.5))
  end
  local skipped = 0
  if self.missed == "skip" and now >= self.next_time then
    skipped = math.floor((now - self.next_time) / period)
  end
  self.next_time = self.next_time + (skipped + 1) * period
end

local schedule

-- The next call is scheduled before this one, which may raise, and put right after it, which may
-- have taken long. stop() within ends the series, and stop() with start() begins another: both
-- change the handle.
local function call(self)
  local timeout, loop = self.timeout, self.running_loop
  advance(self, loop:time())
  schedule(self)
  self.callback()
  if self.timeout == timeout and self.missed == "skip" then
    local now = loop:time()
    if now >= self.next_time then
      advance(self, now)
      schedule(self)
    end
  end
end

function schedule(self)
  if self.timeout then
    self.timeout:again(self.next_time - self.running_loop:time())
  else
    self.timeout = self.running_loop:call_at(self.next_time, call, self)
  end
end

--- Starts the period; a running one is left alone.
function PeriodicCallback:start()
  if self:is_running() then
    return
  end
  local loop = self.io_loop or IOLoop.current()
  self.running_loop = loop
  self.next_time = loop:time()
  if not self.immediate then
    advance(self, self.next_time)
  end
  schedule(self)
end

--- Ends the calls, also inside the callback; it can be started again.
function PeriodicCallback:stop()
  if self.timeout then
    self.timeout:cancel()
    self.timeout = nil
  end
  self.running_loop = nil
end

--- Whether it was started and not stopped.
function PeriodicCallback:is_running()
  return self.running_loop ~= nil and not self.running_loop:closed()
end

function PeriodicCallback:__tostring()
  return ("PeriodicCallback (%g ms, %s)"):format(self.callback_time,
    self:is_running() and "running" or "stopped")
end

local function constructor(class)
  return setmetatable(class, {__call = function(_, ...) return class.new(...) end})
end

return {
  IOLoop = IOLoop,
  ZMQIOLoop = IOLoop,
  DelayedCallback = constructor(DelayedCallback),
  PeriodicCallback = constructor(PeriodicCallback),

  --- PyZMQ's install(): nothing to replace here, the global loop is always zmqloop's.
  install = function() return IOLoop.instance() end,
}
