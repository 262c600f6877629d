--- zmqloop.periodic: PeriodicCallback and DelayedCallback, which count in milliseconds.
-- Internal: programs do not require it, and it may change at any time.
-- PyZMQ's and Tornado's; reached through zmqloop.ioloop.
--
-- The methods of PeriodicCallback, and the files that define them:
--   here                      new start stop is_running
--
-- The methods of DelayedCallback, and the files that define them:
--   here                      new start stop is_running
local core = require("zmqloop.core")
local check = require("zmqloop.check")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local misuse = core.misuse
local IOLoop = core.IOLoop

-- ---- the grid -----------------------------------------------------------------------------------

-- Rounds to the precision of the loop's clock: otherwise sums of tenths and hundredths would be
-- late by a nanosecond.
local function whole_nanoseconds(seconds)
  return math.floor(seconds * 1e9 + 0.5) / 1e9
end

-- The first time after `time` that a clock can show: by its own resolution, or by that of a number
-- so large.
local function just_after(time)
  return time + math.max(1e-9, math.abs(time) * 2^-52)
end

--- The point of a grid of times, `period` seconds apart, that follows the point `time`; with
-- `skips`, the first one after `now`. Returns it, and how many are skipped. If the clock went back,
-- it is one period after `time`, so that the series does not stall.
local function grid(time, now, period, skips)
  local skipped = 0
  if skips and now >= time then
    skipped = math.floor((now - time) / period)
  end
  local point = whole_nanoseconds(time + (skipped + 1) * period)
  if skips and point <= now then -- the quotient was rounded down
    point, skipped = whole_nanoseconds(point + period), skipped + 1
  end
  local last = skips and math.max(now, time) or time
  if point <= last then -- a period below the clock's resolution would never advance
    point = just_after(last)
  end
  return point, skipped
end

-- ---- arguments ----------------------------------------------------------------------------------

-- Raises if self is not an object of the class: most likely '.' was written instead of ':'.
local function check_self(self, class, method)
  if type(self) ~= "table" or not self.callback_time then
    core.bad_self(method, class, self)
  end
end

local function check_milliseconds(class, value)
  if type(value) ~= "number" or value ~= value then
    check.bad(class, 2, ("number of milliseconds expected, got %s"):format(
      value ~= value and "NaN" or type(value)))
  end
end

-- ---- DelayedCallback ----------------------------------------------------------------------------

local DelayedCallback = {}
DelayedCallback.__index = DelayedCallback
DelayedCallback.__name = "zmqloop.DelayedCallback"

--- Calls `callback` once, `callback_time` milliseconds after start().
-- PyZMQ's DelayedCallback. The loop is IOLoop.current() at start() unless given.
function DelayedCallback.new(callback, callback_time, io_loop)
  core.check_callable("DelayedCallback", 1, callback)
  check_milliseconds("DelayedCallback", callback_time)
  core.check_loop("DelayedCallback", 3, io_loop)
  return setmetatable({
    callback = callback,
    callback_time = callback_time, -- milliseconds
    io_loop = io_loop,
    timeout = nil, -- handle of the loop, while started
  }, DelayedCallback)
end

--- Starts it; does nothing if it is started already.
function DelayedCallback:start()
  check_self(self, "DelayedCallback", "start")
  if self:is_running() then
    return
  end
  local milliseconds = self.callback_time
  if type(milliseconds) ~= "number" or milliseconds ~= milliseconds then
    misuse("bad callback_time of a DelayedCallback (number of milliseconds expected, got "
      .. (milliseconds ~= milliseconds and "NaN" or type(milliseconds)) .. ")")
  end
  local loop = self.io_loop or IOLoop.current()
  self.timeout = loop:call_later(milliseconds / 1000, self.callback)
end

--- Stops it; it can be started again.
function DelayedCallback:stop()
  check_self(self, "DelayedCallback", "stop")
  if self.timeout then
    self.timeout:cancel()
    self.timeout = nil
  end
end

--- Whether it was started and has neither fired nor been stopped.
function DelayedCallback:is_running()
  check_self(self, "DelayedCallback", "is_running")
  return self.timeout ~= nil and self.timeout:active()
end

function DelayedCallback:__tostring()
  return ("DelayedCallback (%s ms, %s)"):format(core.number_text(self.callback_time),
    self:is_running() and "running" or "stopped")
end

-- ---- PeriodicCallback ---------------------------------------------------------------------------

local PeriodicCallback = {}
PeriodicCallback.__name = "zmqloop.PeriodicCallback"

local function got(value)
  return value ~= value and "NaN" or type(value) == "number" and tostring(value) or type(value)
end

-- Field that may be changed while it runs -> function that returns what is wrong with a value, or
-- nil. Checked when set: a wrong value would end the series at the next call, far from the code
-- that set it.
local faults = {
  callback_time = function(value)
    if type(value) ~= "number" or value ~= value then
      return "number of milliseconds expected, got " .. got(value)
    elseif value <= 0 then
      return "must be positive"
    end
  end,
  jitter = function(value)
    if type(value) ~= "number" or not (value >= 0 and value < 2) then
      return "jitter: number from 0 to below 2 expected, got " .. got(value)
    end
  end,
  missed = function(value)
    if value ~= "skip" and value ~= "burst" then
      return "missed is 'skip' or 'burst'"
    end
  end,
}

local periodic_options = {jitter = true, immediate = true, missed = true, io_loop = true}

local function check_periodic_options(options)
  for name in pairs_of(options) do
    if not periodic_options[name] then
      core.unknown_option("PeriodicCallback", 3, name, periodic_options)
    end
  end
  for _, name in ipairs({"jitter", "missed"}) do
    local fault = options[name] ~= nil and faults[name](options[name])
    if fault then
      check.bad("PeriodicCallback", 3, fault)
    end
  end
  core.check_loop("PeriodicCallback", 3, options.io_loop)
  return options
end

--- Calls `callback` every `callback_time` milliseconds, on the grid of start().
-- Tornado's PeriodicCallback: the first call comes one period after start(); cycles missed by a
-- long callback are skipped, so the grid is kept and calls never bunch. The third argument is the
-- loop, by default IOLoop.current() at start(), or options:
--   jitter     each period is varied by up to half this fraction either way; below 2
--   immediate  the first call comes in the next iteration
--   missed     "skip", or "burst" to make up for missed cycles
--   io_loop    the loop
-- The field `skipped` is how many cycles were missed before the current call. The fields
-- `callback_time`, `jitter` and `missed` may be changed; a wrong value raises. A callback_time set
-- inside the callback applies from the current call on; set elsewhere, from the next call on.
--
-- The callback may wait, for example in zmqloop.sleep(), or yield, and must then be resumed by the
-- code to which it passed coroutine.running(). Until it has returned it is not called again, not
-- even after stop() and start(); cycles that pass meanwhile count as missed, and are made up for
-- from the next point of the grid on. Errors are handled as the loop's other errors; after a yield
-- they are raised in the code that resumed it. The calls continue after an error.
function PeriodicCallback.new(callback, callback_time, loop_or_options)
  core.check_callable("PeriodicCallback", 1, callback)
  check_milliseconds("PeriodicCallback", callback_time)
  if callback_time <= 0 then
    misuse("Periodic callback must have a positive callback_time")
  end
  local options = loop_or_options
  if type(options) ~= "table" then
    core.check_loop("PeriodicCallback", 3, loop_or_options)
    options = {io_loop = loop_or_options}
  end
  check_periodic_options(options)
  return setmetatable({
    callback = callback,
    settings = { -- fields changed through __newindex()
      callback_time = callback_time, -- milliseconds
      jitter = options.jitter or 0,
      missed = options.missed or "skip",
    },
    io_loop = options.io_loop,
    immediate = options.immediate or false,
    running_loop = nil, -- the loop it was started on, while it runs
    point = nil, -- when the current call was due, on the loop's clock
    next_time = nil, -- when the next one is due
    skipped = 0, -- points of the grid missed before the current call
    overrun = 0, -- points that passed during the last call, for the next one's `skipped`
    timeout = nil, -- handle of the loop
    body = nil, -- the coroutine in which the callback runs, until it has returned
  }, PeriodicCallback)
end

-- Is a call waiting that may still return? A failed one is not.
local function is_suspended(self)
  return self.body ~= nil and coroutine.status(self.body) ~= "dead"
end

-- The point of the grid after next_time; see grid().
local function next_point(self, now, skips)
  local period = self.callback_time / 1000
  if self.jitter > 0 then
    period = period * (1 + self.jitter * (math.random() - 0.5))
  end
  return grid(self.next_time, now, period, skips)
end

-- Returns how many points are skipped.
local function advance(self, now)
  local skipped
  self.next_time, skipped = next_point(self, now, self.missed == "skip")
  return skipped
end

local call

-- A hook, a finalizer or the user's clock may stop or restart the series at any time: then the
-- timeout of the former series is removed.
local function schedule(self, when)
  local timeout, loop = self.timeout, self.running_loop
  if timeout then
    core.again_at(timeout, when)
  elseif loop then
    timeout = loop:call_at(when, call, self)
    if self.running_loop == loop and not self.timeout then
      self.timeout = timeout
    end
  end
  if timeout and timeout ~= self.timeout then
    timeout:cancel()
  end
end

-- Methods, and the settings.
function PeriodicCallback:__index(name)
  local method = PeriodicCallback[name]
  if method ~= nil then
    return method
  end
  return rawget(self, "settings")[name]
end

-- A period changed during a call applies from that call on, as in Tornado, which schedules the next
-- call when one has ended.
function PeriodicCallback:__newindex(name, value)
  if not faults[name] then
    rawset(self, name, value)
    return
  end
  local fault = faults[name](value)
  if fault then
    misuse(("bad %s of a PeriodicCallback (%s)"):format(name, fault))
  end
  self.settings[name] = value
  local point, loop = self.point, self.running_loop
  if name == "callback_time" and point and loop and is_suspended(self) then
    self.next_time = point
    advance(self, loop:time())
    schedule(self, self.next_time)
  end
end

-- A call has ended at `ended`: skips the points that passed during it. Returns whether there were
-- any.
local function skip_taken(self, ended)
  local taken = self.missed == "skip" and ended >= self.next_time
  if taken then
    self.overrun = 1 + advance(self, ended)
    schedule(self, self.next_time)
  end
  return taken
end

-- The next call is scheduled before this one, which may fail, and corrected after it, since it may
-- have taken long; after a failure, at the start of the next call. stop() inside the callback ends
-- the series, and stop() with start() begins another: both change the handle.
function call(self)
  local timeout, loop = self.timeout, self.running_loop
  if not timeout or not loop then
    return
  end
  local now = loop:time()
  if is_suspended(self) then
    return schedule(self, (next_point(self, now, true)))
  end
  local failed = self.body ~= nil
  self.body = nil
  if failed and skip_taken(self, core.failed_at(loop)) then
    return
  end
  self.point = self.next_time
  self.skipped, self.overrun = self.overrun + advance(self, now), 0
  schedule(self, self.next_time)
  if self.timeout ~= timeout then
    return -- stopped by code that ran in between
  end
  core.calling(loop, self.callback)
  self.body = coroutine.running()
  self.callback()
  self.body = nil
  if self.timeout == timeout then
    skip_taken(self, loop:time())
  end
end

--- Starts it; does nothing if it is running already.
function PeriodicCallback:start()
  check_self(self, "PeriodicCallback", "start")
  if self:is_running() then
    return
  end
  local loop = self.io_loop or IOLoop.current()
  self.running_loop = loop
  self.next_time, self.overrun = loop:time(), 0
  if not self.immediate then
    advance(self, self.next_time)
  end
  schedule(self, self.next_time)
end

--- Stops the calls, even from inside the callback; it can be started again.
function PeriodicCallback:stop()
  check_self(self, "PeriodicCallback", "stop")
  local timeout = self.timeout
  self.running_loop, self.point, self.timeout = nil, nil, nil
  if timeout then
    timeout:cancel()
  end
end

-- For <close> variables of Lua 5.4.
DelayedCallback.__close, PeriodicCallback.__close = DelayedCallback.stop, PeriodicCallback.stop

--- Whether it was started and not stopped.
function PeriodicCallback:is_running()
  check_self(self, "PeriodicCallback", "is_running")
  return self.running_loop ~= nil and not self.running_loop:closed()
end

function PeriodicCallback:__tostring()
  return ("PeriodicCallback (%s ms, %s)"):format(core.number_text(self.callback_time),
    self:is_running() and "running" or "stopped")
end

local function constructor(class)
  return setmetatable(class, {__call = function(_, ...) return class.new(...) end})
end

return {
  DelayedCallback = constructor(DelayedCallback),
  PeriodicCallback = constructor(PeriodicCallback),
  grid = grid,
}
