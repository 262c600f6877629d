--- zmqloop.ioloop: the loop, periodic and delayed callbacks, a poller.
-- Names and semantics of PyZMQ's eventloop.ioloop and Tornado's IOLoop. Times are seconds, except
-- in DelayedCallback and PeriodicCallback, which count in milliseconds.
--
-- The methods of IOLoop, and the files that define them:
--   csrc/lua/ioloop.c         start stop step running advance time timeout fd stats on_error
--                             closed
--   csrc/lua/callback.c       add_callback
--   csrc/lua/timer.c          call_later call_at add_timeout remove_timeout
--   csrc/lua/handler.c        add_handler update_handler remove_handler split_fd
--   csrc/lua/signal.c         add_signal_handler remove_signal_handler
--   here                      new initialize configure configurable_base configurable_default
--                             configured_class instance initialized clear_instance current
--                             clear_current make_current install close close_fd run pollable
--                             handle_callback_exception spawn_callback add_callback_from_signal
--   async/task.lua            spawn
--   async/run_sync.lua        run_sync add_future
--   blocked.lua               log_stack set_blocking_signal_threshold set_blocking_log_threshold
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("ioloop") then
  return classes.registered("ioloop")
end

local check = require("zmqloop.check")
local report = require("zmqloop.report")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local misuse = core.misuse
local IOLoop = core.IOLoop
IOLoop.__index = IOLoop

IOLoop.NONE = 0
IOLoop.READ = 1
IOLoop.WRITE = 4
IOLoop.ERROR = 24

IOLoop.spawn_callback = IOLoop.add_callback
IOLoop.add_callback_from_signal = IOLoop.add_callback

-- ---- which loop ------------------------------------------------------------------------------

-- A Lua state is one thread, so what PyZMQ keeps per process and thread is kept per state.
local instance, current

local option_names = {impl = true, clock = true}

-- Set by configure(): the class, and options for its constructor.
local configured = {class = nil, options = {}}

local function is_open(loop)
  return loop ~= nil and not loop:closed()
end

-- A table of methods becomes a class derived from IOLoop.
local function derive(class)
  if class ~= IOLoop then
    class.__index = rawget(class, "__index") or class
    local metatable = getmetatable(class) or {}
    metatable.__index = metatable.__index or IOLoop
    metatable.__call = metatable.__call or getmetatable(IOLoop).__call
    setmetatable(class, metatable)
  end
  return class
end

local function check_options(options)
  check.table("IOLoop", 1, options, true)
end

local function merge(options)
  local merged = {}
  for name, value in pairs_of(configured.options) do
    merged[name] = value
  end
  for name, value in pairs_of(options or {}) do
    merged[name] = value
  end
  return merged
end

--- Opens the loop; called by the constructor.
-- A derived class that overrides it must call it. impl is "epoll", "poll" or nil for the system's
-- best; options is {clock=} with "monotonic", "virtual" (see advance()) or a function that returns
-- seconds. Returns true, or nil, message, name if the system refuses (EMFILE).
function IOLoop:initialize(impl, options)
  if impl ~= nil and impl ~= "epoll" and impl ~= "poll" then
    check.bad("initialize", 1, ("impl is 'epoll' or 'poll', not '%s'"):format(tostring(impl)))
  end
  for name in pairs_of(options or {}) do
    if not option_names[name] then
      core.unknown_option("IOLoop", 1, name, option_names)
    end
  end
  return core.open_loop(self, impl or "default", options and options.clock)
end

local function construct(class, options)
  check_options(options)
  if class == IOLoop then
    class = IOLoop.configured_class()
  end
  local merged = merge(options)
  local impl = merged.impl
  if type(impl) == "table" then
    class, impl = derive(impl), nil
  end
  merged.impl = nil
  local loop = core.new_loop(class)
  local ok, message, name = loop:initialize(impl, merged)
  if loop:closed() then
    if name == nil then
      misuse("initialize() of a derived class has to call that of IOLoop")
    end
    return ok, message, name
  end
  return loop
end

--- Creates a loop of the configured class, with the configured options and these: {impl=, clock=}.
-- Returns nil, message, name if the system refuses.
function IOLoop.new(options)
  return construct(IOLoop, options)
end

setmetatable(IOLoop, {
  __call = function(class, options) return construct(class, options) end,
})

--- Sets what IOLoop() creates: "epoll", "poll", or a class table, which derives from IOLoop and may
-- override any of its methods; nil restores the default. The options are passed to the
-- constructor. PyZMQ and Tornado: `IOLoop.configure`.
function IOLoop.configure(impl, options)
  check.table("configure", 2, options, true)
  local saved = {}
  for name, value in pairs_of(options or {}) do
    saved[name] = value
  end
  local class
  if type(impl) == "table" then
    class = derive(impl)
  elseif impl == nil or impl == "epoll" or impl == "poll" then
    saved.impl = impl
  else
    check.bad("configure", 1, ("impl is 'epoll', 'poll' or a class, not '%s'"):format(
      tostring(impl)))
  end
  configured.class, configured.options = class, saved
end

--- The class from which configured ones derive.
function IOLoop.configurable_base()
  return IOLoop
end

--- The class that is used when none is configured.
function IOLoop.configurable_default()
  return IOLoop
end

--- The class of the objects that IOLoop() creates.
function IOLoop.configured_class()
  return configured.class or IOLoop
end

--- The state's global loop, created by the first call.
function IOLoop.instance()
  if not is_open(instance) then
    instance = assert(IOLoop.new())
  end
  return instance
end

--- Whether the global loop has been created.
function IOLoop.initialized()
  return is_open(instance)
end

--- Forgets the global loop without closing it; instance() creates another one.
function IOLoop.clear_instance()
  instance = nil
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
  core.check_loop("make_current", 0, self)
  current = self
end

--- Makes this the loop that IOLoop.instance() returns. Raises if there is another one.
function IOLoop:install()
  core.check_loop("install", 0, self)
  if is_open(instance) and instance ~= self then
    misuse("IOLoop already initialized")
  end
  instance = self
end

-- ---- closing ---------------------------------------------------------------------------------

--- Closes anything add_handler() accepts: a number as a descriptor, an object by its own close
-- method. Raises what that raises, or, for a number that the system refuses, its message. Tornado:
-- `IOLoop.close_fd`, for classes that override close().
function IOLoop.close_fd(_, object)
  if type(object) == "number" then
    assert(core.close_fd(object))
  elseif object.close then
    object:close()
  end
end

-- How deeply loops may be closed by each other's tasks: Lua's limit of 200 nested C calls leaves
-- room for this, and for some calls of the user in between.
local closing, MOST_CLOSING = 0, 40

-- Ends the tasks, which may unregister and close registered objects.
local function end_tasks(loop)
  local tasks = classes.registered("async.task")
  if not tasks then
    return
  elseif closing >= MOST_CLOSING then
    misuse("too many loops are closed by each other's tasks")
  end
  closing = closing + 1
  local ok, err = pcall(tasks.end_tasks, loop)
  closing = closing - 1
  if not ok then
    error(err, 0)
  end
end

--- Closes the loop: drops timers, handlers and callbacks, and closes streams. First raises
-- CANCELLED in the tasks that wait, which can clean up but not wait again. With all_fds also
-- closes the registered objects: objects by their own close method, numbers as descriptors,
-- streams with their sockets. Raises inside a callback of this loop, and at the end the first
-- error of a close method. Closing twice is silent.
function IOLoop:close(all_fds)
  core.check_loop("close", 0, self)
  local failed, failure = false, nil
  if not self:closed() and not self:running() then
    local objects = all_fds and core.loop_objects(self) or {}
    end_tasks(self)
    for _, object in ipairs(objects) do
      local ok, err = pcall(self.close_fd, self, object)
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

-- ---- running ---------------------------------------------------------------------------------

local run = IOLoop.run

--- Like start(), but also returns when nothing is left to wait for: no callback, timeout or
-- handler, and no stream that receives or sends. Returns true and the number of tasks that have
-- not ended: nothing on this loop will wake them.
function IOLoop:run()
  local ended, tasks = run(self), classes.registered("async.task")
  return ended, tasks and tasks.count_tasks(self) or 0
end

-- ---- inside another loop --------------------------------------------------------------------

local Pollable = {}
Pollable.__index = Pollable
Pollable.__name = "zmqloop.Pollable"

--- The loop's descriptor.
function Pollable:pollfd() return self.loop:fd() end

--- The events to watch for: "r".
function Pollable.events() return "r" end

--- Seconds until loop:step() must be called in any case, or nil.
function Pollable:timeout() return self.loop:timeout() end

--- An object for loops that wait for pollfd(), events() and timeout(), such as those of cqueues:
-- when it is ready or its time is up, call loop:step(). Returns nil, message, name if the loop has
-- no descriptor, see fd().
function IOLoop:pollable()
  core.check_loop("pollable", 0, self)
  local fd, message, name = self:fd()
  if not fd then
    return fd, message, name
  end
  return setmetatable({loop = self}, Pollable)
end

-- ---- errors ----------------------------------------------------------------------------------

--- Called with the error of a callback, and its traceback; can be overridden by loop and by class.
-- The default writes it to io.stderr, repetitions as counts, and the loop continues. See
-- on_error().
function IOLoop.handle_callback_exception(_, callback, _, traceback)
  report.exception(callback, traceback)
end

classes.extend(IOLoop, {
  spawn = "async.task", run_sync = "async.run_sync", add_future = "async.run_sync",
  log_stack = "blocked", set_blocking_signal_threshold = "blocked",
  set_blocking_log_threshold = "blocked",
})

return classes.register("ioloop", classes.extend({
  IOLoop = IOLoop,
  ZMQIOLoop = IOLoop,

  --- PyZMQ's install(): nothing to replace here, since the global loop is always zmqloop's.
  install = function() return IOLoop.instance() end,
}, {DelayedCallback = "periodic", PeriodicCallback = "periodic", ZMQPoller = "poller"}))
