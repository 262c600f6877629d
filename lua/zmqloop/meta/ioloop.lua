---@meta zmqloop.ioloop

-- The loop, timeouts, periodic and delayed callbacks, and a poller.
--
-- Times are seconds on the loop's monotonic clock. "Callable" is a function or a
-- value with `__call`; anything else raises. Everything belongs to the thread that
-- created the loop, and may be called inside callbacks unless stated otherwise. On
-- a closed loop everything but `add_callback`, `stop`, `time`, `running`, `closed`,
-- `close` and `remove_timeout` raises "loop is closed".

---An event loop: calls callbacks, timeouts and handlers of descriptors, sockets
---and streams, one after the other. After PyZMQ's and Tornado's IOLoop.
---@class zmqloop.IOLoop
---@field NONE 0 no event
---@field READ 1 readable
---@field WRITE 4 writable
---@field ERROR 24 errors and hang-up, always delivered
---@overload fun(options?: zmqloop.LoopOptions): zmqloop.IOLoop, string?, string?
local IOLoop = {}

---What `IOLoop` takes.
---@class zmqloop.LoopOptions
---@field impl? "epoll"|"poll"|table the system's best if nil; a table is a class derived from IOLoop
---@field clock? "monotonic"|"virtual"|fun(): number "virtual": see `advance()`; a function returns
--- seconds

---Creates a loop of the configured class, with the configured options and these;
---`IOLoop(options)` is the same. The caller closes it.
---@param options? zmqloop.LoopOptions
---@return zmqloop.IOLoop loop nil on failure
---@return string? message
---@return string? name EMFILE, ENFILE, ENOMEM
function IOLoop.new(options) end

---Opens the loop; called by the constructor. A derived class that overrides it must
---call it.
---@param impl? "epoll"|"poll" the system's best if nil
---@param options? {clock?: "monotonic"|"virtual"|fun(): number} as for `new`
---@return true? ok nil on failure
---@return string? message
---@return string? name EMFILE, ENFILE, ENOMEM
function IOLoop:initialize(impl, options) end

---Sets what `IOLoop()` creates. PyZMQ and Tornado: `IOLoop.configure`.
---@param impl "epoll"|"poll"|table|nil a table is a class, which derives from IOLoop and may
--- override any of its methods; nil restores the default
---@param options? zmqloop.LoopOptions for the constructor
function IOLoop.configure(impl, options) end

---The class from which configured ones derive.
---@return zmqloop.IOLoop class
function IOLoop.configurable_base() end

---The class that is used when none is configured.
---@return zmqloop.IOLoop class
function IOLoop.configurable_default() end

---The class of the objects that `IOLoop()` creates.
---@return zmqloop.IOLoop class
function IOLoop.configured_class() end

---The global loop of this Lua state, created by the first call, and anew after it was
---closed.
---@return zmqloop.IOLoop loop
function IOLoop.instance() end

---Whether the global loop has been created.
---@return boolean
function IOLoop.initialized() end

---Forgets the global loop without closing it; `instance()` creates another one.
function IOLoop.clear_instance() end

---The running loop, else the one made current, else `instance()`.
---@return zmqloop.IOLoop loop
function IOLoop.current() end

---Forgets `make_current()`.
function IOLoop.clear_current() end

---Makes this the loop that `IOLoop.current()` returns while none runs.
function IOLoop:make_current() end

---Makes this the loop that `IOLoop.instance()` returns.
---
---Errors: "IOLoop already initialized" (there is another one)
function IOLoop:install() end

---Closes anything that `add_handler` accepts: a number as a descriptor, an object by its
---own close method, whose errors it raises. Tornado: `IOLoop.close_fd`, for classes that
---override `close()`.
---
---Errors: EBADF
---@param what zmqloop.Watchable
function IOLoop:close_fd(what) end

---Closes the loop: drops timers, handlers and callbacks, and closes streams. First
---raises CANCELLED in the tasks that wait, which can clean up but not wait again. Raises
---inside a callback of this loop, and at the end the first error of a close method.
---Closing twice is silent.
---@param all_fds? boolean also closes the registered objects: objects by their own close method,
--- numbers as descriptors, streams with their sockets
function IOLoop:close(all_fds) end

---An object for loops that wait for `pollfd()`, `events()` and `timeout()`, such as those
---of cqueues: when it is ready or its time is up, call `step()`.
---@return zmqloop.Pollable? pollable nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has no descriptor), EMFILE, ENFILE, ECHILD
function IOLoop:pollable() end

---Called with the error of a callback; can be overridden by loop and by class. The default
---writes the traceback to io.stderr, repetitions as counts, and the loop continues. See
---`on_error()`.
---@param callback any the function, stream, Task or Future that failed
---@param err any
---@param traceback string
function IOLoop:handle_callback_exception(callback, err, traceback) end

---Runs fn(...) in a coroutine of its own, from the next iteration on. There it may wait,
---for example in `zmqloop.sleep`.
---@param fn zmqloop.Callable
---@param ... any for fn
---@return zmqloop.Task task
function IOLoop:spawn(fn, ...) end

---Runs fn as a task, and the loop until fn has returned. When the time is up it cancels the
---task, and waits for its end without a limit. If something else stops the loop, it cancels
---the task without waiting for its end. Not inside a running loop. Raises the errors of fn.
---Tornado: `IOLoop.run_sync`.
---
---Errors: ETIMEDOUT, EINTR (the loop was stopped), CANCELLED (the task was cancelled)
---@param fn zmqloop.Callable
---@param timeout? number seconds; no limit if nil
---@return any ... the results of fn
function IOLoop:run_sync(fn, timeout) end

---Calls `fn(future)` on this loop, in the iteration after the future is done. Tornado:
---`IOLoop.add_future`.
---@param future zmqloop.Future
---@param fn zmqloop.Callable
function IOLoop:add_future(future, fn) end

---Like `start()`, but also returns when nothing is left to wait for: no callback,
---timeout or handler, and no stream that receives or sends.
---@return true
---@return integer tasks that have not ended: nothing on this loop will wake them
function IOLoop:run() end

---Writes where a loop blocks to io.stderr; an action for
---`set_blocking_signal_threshold`.
---@param signal? integer not used
---@param report? string the text to write; the caller's traceback if nil
function IOLoop:log_stack(signal, report) end

---Calls `action(signal, report)` when the loop has run for this many seconds, or up to a
---quarter longer, without reaching its wait; once per block. report is the text "IOLoop
---blocked for 0.102 seconds in", with the traceback of the running code. An error of the
---action is raised in the code that blocks. While the loop is watched a thread sends the
---loop's thread the signal, which interrupts sleeps. C functions, and code that LuaJIT has
---compiled, are reported when they end.
---@param seconds number|nil nil turns it off
---@param action? fun(signal: integer, report: string) such as the loop's `log_stack`
---@param signal? string|integer a realtime signal if nil
---@return true? ok nil on failure
---@return string? message
---@return string? name EAGAIN (no thread could be created), ECHILD (in a forked process)
function IOLoop:set_blocking_signal_threshold(seconds, action, signal) end

---Calls `log_stack()` when the loop has blocked for this many seconds. See
---`set_blocking_signal_threshold`.
---@param seconds number|nil nil turns it off
---@param signal? string|integer a realtime signal if nil
---@return true? ok nil on failure
---@return string? message
---@return string? name EAGAIN, ECHILD
function IOLoop:set_blocking_log_threshold(seconds, signal) end

---@alias zmqloop.Callable function|table

---What `add_handler` watches: a descriptor's number, a Lua file, a socket of
---`zmqloop.zmq`, or an object with a method `fileno`, `getfd` or `pollfd`.
---@alias zmqloop.Watchable integer|file*|zmqloop.Socket|table|userdata

---A sum of `IOLoop.READ` (1) and `IOLoop.WRITE` (4), or "r", "w" or "rw".
---@alias zmqloop.Events integer|"r"|"w"|"rw"

---Runs iterations until `stop()`. One iteration calls the callbacks queued before
---it, first in first out, then the timeouts that are due, by deadline and among
---equals in the order of their starts, then handlers and streams that are ready.
---Anything a callback adds waits for the next iteration. Inside a callback of the
---same loop it raises "IOLoop is already running"; a loop that was stopped, or
---left by an error, can be started again.
---
---It also ends, quietly, when the context of a watched socket is terminated
---(ETERM). With `on_error("raise")` it raises the first error of a callback, and
---the next start resumes after that callback. Ctrl-C in an interpreter raises
---"interrupted!". A loop belongs to the process that created it: in a forked child
---this raises ECHILD; if a callback forks, before the next wait. When a wait fails
---it raises the system's error, such as EBADF if other code has closed the loop's
---own descriptors, or EINVAL if there are more than `poll` takes. Tornado:
---`IOLoop.start`.
---@return true
function IOLoop:start() end

---Runs what is due, and returns; for hosts with a loop of their own. Without a budget
---that is one iteration. With a budget it goes on, iteration after iteration, until
---nothing is pending or the budget is used up: a frame of a game calls
---`loop:step(0, {seconds = 0.002})` once. If an error or a budget has interrupted an
---iteration, resumes that first. Raises as `start()` does.
---@param timeout? number seconds to wait for the first thing to do; 0 if nil
---@param budget? {events?: integer, seconds?: number} stops after this many callbacks, timeouts,
--- events and messages, or when the time is over (with a virtual clock: the real time); the rest
--- waits, in order, for the next run
---@return integer handled how many were handled
---@return boolean more whether work is pending: step again soon
function IOLoop:step(timeout, budget) end

---A descriptor for another loop to watch: readable while this loop has work other
---than timeouts. Then, and when `timeout()` is over, call `step()`, and ask
---`timeout()` again. Callbacks queued outside a step, and a timeout started there that
---is due before all others, make it readable too. Created by the first call and owned
---by the loop.
---@return integer? fd nil on failure
---@return string? message
---@return string? name ENOTSUP (the poll backend has none), EMFILE, ENFILE, ECHILD
function IOLoop:fd() end

---How long another loop may wait for `fd()` before the next `step()`.
---@return number? seconds 0 when there is something to do, nil when no timeout is active
function IOLoop:timeout() end

---@class zmqloop.Stats what a loop has done since it was created
---@field iterations integer
---@field callbacks integer callbacks called
---@field timers integer timeouts fired
---@field signals integer calls of signal handlers
---@field events integer calls of handlers
---@field messages_in integer delivered by streams
---@field messages_out integer taken from streams by libzmq
---@field busy number seconds of running, not counting idle
---@field idle number seconds of waiting for something to do
---@field lateness_mean number seconds that timeouts fired after their deadline
---@field lateness_max number
---@field slowest number seconds of the longest call; a stream's turn, up to `set_batch()`
--- messages, is one
---@field slowest_source? string where its callback begins, "service.lua:12"

---Statistics of the loop. Always counted, at the cost of one reading of the clock
---per call. `busy`, `idle` and `slowest` are real time even with another clock.
---@return zmqloop.Stats
function IOLoop:stats() end

---Moves a virtual clock forward. Whatever becomes due on the way is called at its
---time; a callback that always queues another lets no time pass. Inside a callback
---only the clock moves, as if the callback had taken that long. Raises if the
---clock is not virtual, and raises errors of callbacks as `step()` does. While
---such a loop runs, its clock jumps to the next deadline instead of waiting for
---it.
---@param seconds number not below 0
function IOLoop:advance(seconds) end

---Makes `start()` or `run()` return at the end of this iteration. If neither is
---running, the next one returns at once; two stops count as one. It ends the wait
---of a `step()` in progress, or of the next one. Does nothing on a closed loop.
---Tornado: `IOLoop.stop`, with the semantics up to 4.5.
function IOLoop:stop() end

---Whether `start()`, `run()` or `step()` is in progress. False on a closed loop.
---@return boolean
function IOLoop:running() end

---Whether `close()` was called.
---@return boolean
function IOLoop:closed() end

---The current time of the loop's clock, read anew: seconds since a fixed point,
---never going back. Not the time of day. For a closed loop, the time when it was
---closed. While a user's clock raises, or returns anything but a finite number,
---time stands still. The error is raised by the method that runs the loop, or
---outside a run by the method that needs the time.
---@return number
function IOLoop:time() end

---Calls `fn(...)` in the next iteration, after those added before; nils among the
---arguments are kept. A closed loop drops it, without an error. Tornado:
---`IOLoop.add_callback`.
---@param fn zmqloop.Callable
---@param ... any
function IOLoop:add_callback(fn, ...) end

---The same as `add_callback`. Tornado: `IOLoop.spawn_callback`.
---@param fn zmqloop.Callable
---@param ... any
function IOLoop:spawn_callback(fn, ...) end

---The same as `add_callback`: a Lua function never runs in a signal handler.
---Tornado: `IOLoop.add_callback_from_signal`.
---@param fn zmqloop.Callable
---@param ... any
function IOLoop:add_callback_from_signal(fn, ...) end

---Sets how errors in callbacks are handled: `fn(callback, err, traceback)` is
---called with each, "raise" makes `start()`, `run()` or `step()` raise the first
---one, and nil restores `loop:handle_callback_exception(callback, err,
---traceback)`. The loop continues in each case. An error of fn itself is raised as
---with "raise". For a failed Task or Future that nothing looks at, `callback` is
---that object. `start()` raises the value itself, and `zmqloop.traceback(err)`
---returns its stack; if nothing can catch it, so that the program ends, it raises
---a text with both.
---@param fn zmqloop.Callable|"raise"|nil required; nil must be explicit
function IOLoop:on_error(fn) end

---Calls `fn(...)` once, at or after a time, never before.
---@param deadline number absolute, as from `time()`
---@param fn zmqloop.Callable
---@param ... any
---@return zmqloop.Timeout
function IOLoop:add_timeout(deadline, fn, ...) end

---The same as `add_timeout`. Tornado: `IOLoop.call_at`.
---@param when number absolute, as from `time()`
---@param fn zmqloop.Callable
---@param ... any
---@return zmqloop.Timeout
function IOLoop:call_at(when, fn, ...) end

---Calls `fn(...)` once, a time after now, never earlier. A delay of 0 or less
---means the next iteration. Tornado: `IOLoop.call_later`.
---@param delay number seconds
---@param fn zmqloop.Callable
---@param ... any
---@return zmqloop.Timeout
function IOLoop:call_later(delay, fn, ...) end

---Cancels a timeout, even one that has fired or was cancelled before. Works on a
---closed loop. Tornado: `IOLoop.remove_timeout`.
---@param timeout zmqloop.Timeout
function IOLoop:remove_timeout(timeout) end

---Calls `fn(what, events)` in each iteration in which `what` is ready for one of
---the events, with the same value that was registered; level-triggered. ERROR and
---hang-up (a bit of 24) are always delivered. Raises when the descriptor or socket
---is registered already, or has a stream. Tornado: `IOLoop.add_handler`.
---@param what zmqloop.Watchable
---@param fn zmqloop.Callable
---@param events zmqloop.Events 0 for errors only
---@return true? ok nil on failure
---@return string? message
---@return string? name EBADF, EPERM (a regular file), ETERM, ENOTSUP (a thread-safe socket),
--- ECHILD (in a forked process)
function IOLoop:add_handler(what, fn, events) end

---Replaces the events of a handler. Raises when there is none. If a descriptor
---could not be watched again after its callback had waited, which is reported as
---an error of the callback, this tries again.
---@param what zmqloop.Watchable
---@param events zmqloop.Events
---@return true? ok nil on failure
---@return string? message
---@return string? name
function IOLoop:update_handler(what, events) end

---Removes a handler, which is not called again even if an event is pending; the
---descriptor stays open. Does nothing when there is none, even for closed objects.
---@param what zmqloop.Watchable
function IOLoop:remove_handler(what) end

---The number of a descriptor and the argument; for a socket, the socket twice.
---Tornado: `IOLoop.split_fd`, for classes that override `add_handler`.
---@param what zmqloop.Watchable
---@return integer|zmqloop.Socket number
---@return zmqloop.Watchable what
function IOLoop:split_fd(what) end

---Calls `fn(what, count)` from the loop when the signal has arrived, with the name
---or number that was registered and how often it arrived since the last call; in
---the current iteration, ending a wait. Replaces this loop's handler for the
---signal; other loops may have theirs, and each is called. The former handler of
---the signal is called too, in the signal handler, except for INT, where the
---interpreters' handler would raise. It is restored when the last loop has removed
---its handler or is closed. A loop with a signal handler has something to wait
---for, see `run()`. Nothing is installed without this call. asyncio:
---`loop.add_signal_handler`.
---@param what string|integer "TERM", "SIGTERM" or 15. Raises for KILL, STOP and fault signals
--- (SEGV, BUS, FPE, ILL)
---@param fn zmqloop.Callable
---@return true? ok nil on failure
---@return string? message
---@return string? name ECHILD (in a forked process)
function IOLoop:add_signal_handler(what, fn) end

---Removes the handler, which is not called again even if the signal has already
---arrived. Does nothing when this loop has no handler for it.
---@param what string|integer as `add_signal_handler` takes
function IOLoop:remove_signal_handler(what) end

---The handle of a timeout. While it is active the loop keeps it alive.
---@class zmqloop.Timeout
local Timeout = {}

---Cancels it, even if it has fired or was cancelled before.
function Timeout:cancel() end

---Whether it will fire.
---@return boolean
function Timeout:active() end

---Seconds until it fires, 0 when it is overdue, nil when it is at rest.
---@return number?
function Timeout:remaining() end

---Restarts it, with the same function and arguments, whether it is active, has
---fired or was cancelled. Raises "loop is closed".
---@param delay number seconds from now
---@return zmqloop.Timeout self
function Timeout:again(delay) end

---What `IOLoop:pollable()` returns. It keeps its loop alive.
---@class zmqloop.Pollable
local Pollable = {}

---The loop's descriptor, which the loop owns.
---@return integer? fd nil on failure
---@return string? message
---@return string? name ENOTSUP, EMFILE, ENFILE, ECHILD
function Pollable:pollfd() end

---The events to watch for.
---@return string events "r"
function Pollable.events() end

---How long to wait at most before `loop:step()` must be called.
---@return number? seconds nil when no timeout is active
function Pollable:timeout() end

---Calls a function once, some milliseconds after `start()`. After PyZMQ's DelayedCallback.
---@class zmqloop.DelayedCallback
---@field callback_time number milliseconds; used by the next `start()`
---@overload fun(callback: zmqloop.Callable, callback_time: number, io_loop?: zmqloop.IOLoop): zmqloop.DelayedCallback
local DelayedCallback = {}

---Creates it, at rest; `DelayedCallback(...)` is the same.
---@param callback zmqloop.Callable
---@param callback_time number milliseconds
---@param io_loop? zmqloop.IOLoop IOLoop.current() at `start()` if nil
---@return zmqloop.DelayedCallback callback
function DelayedCallback.new(callback, callback_time, io_loop) end

---Starts it; does nothing if it is started already.
function DelayedCallback:start() end

---Stops it; it can be started again.
function DelayedCallback:stop() end

---Whether it was started and has neither fired nor been stopped.
---@return boolean
function DelayedCallback:is_running() end

---What `PeriodicCallback` takes in place of a loop.
---@class zmqloop.PeriodicOptions
---@field jitter? number each period is varied by up to half this fraction either way; 0 to below 2
---@field immediate? boolean the first call comes in the next iteration
---@field missed? "skip"|"burst" "burst" makes up for missed cycles; "skip" is the default
---@field io_loop? zmqloop.IOLoop IOLoop.current() at `start()` if nil

---Calls a function periodically, on the grid of `start()`: the first call comes one period
---later; cycles missed by a long callback are skipped, so the grid is kept and calls never
---bunch. After Tornado's PeriodicCallback.
---
---The callback may wait, for example in `zmqloop.sleep`, or yield, and must then be resumed
---by the code to which it passed coroutine.running(). Until it has returned it is not called
---again, not even after `stop()` and `start()`; cycles that pass meanwhile count as missed.
---The calls continue after an error, which is handled as the loop's other errors.
---@class zmqloop.PeriodicCallback
---@field callback_time number milliseconds, above 0. Set inside the callback it applies from the
--- current call on; elsewhere, from the next one on
---@field jitter number see the options; may be changed
---@field missed "skip"|"burst" see the options; may be changed
---@field skipped integer how many cycles were missed before the current call
---@overload fun(callback: zmqloop.Callable, callback_time: number, loop_or_options?: zmqloop.IOLoop|zmqloop.PeriodicOptions): zmqloop.PeriodicCallback
local PeriodicCallback = {}

---Creates it, stopped; `PeriodicCallback(...)` is the same.
---
---Errors: "Periodic callback must have a positive callback_time"
---@param callback zmqloop.Callable
---@param callback_time number milliseconds, above 0
---@param loop_or_options? zmqloop.IOLoop|zmqloop.PeriodicOptions
---@return zmqloop.PeriodicCallback callback
function PeriodicCallback.new(callback, callback_time, loop_or_options) end

---Starts it; does nothing if it is running already.
function PeriodicCallback:start() end

---Stops the calls, even from inside the callback; it can be started again.
function PeriodicCallback:stop() end

---Whether it was started and not stopped.
---@return boolean
function PeriodicCallback:is_running() end

---For programs that poll instead of using callbacks. It has a loop of its own, so its cost
---grows only with what is ready. After PyZMQ's ZMQPoller, but seconds keep their fractions.
---On a closed one everything but `close` raises "poller is closed".
---@class zmqloop.ZMQPoller
---@overload fun(): zmqloop.ZMQPoller?, string?, string?
local ZMQPoller = {}

---Creates a poller; `ZMQPoller()` is the same. The caller closes it.
---@return zmqloop.ZMQPoller? poller nil on failure
---@return string? message
---@return string? name EMFILE, ENFILE, ENOMEM
function ZMQPoller.new() end

---Watches an object, which stays the caller's. Registering it again replaces the events.
---@param object zmqloop.Watchable
---@param events? zmqloop.Events "rw" if nil; 0 unregisters it
---@return true? ok nil on failure
---@return string? message
---@return string? name EBADF, EPERM (a regular file), ETERM, ENOTSUP (a thread-safe socket), ECHILD
function ZMQPoller:register(object, events) end

---Replaces the events of a registered object.
---
---Errors: "not registered"
---@param object zmqloop.Watchable
---@param events zmqloop.Events 0 unregisters it
---@return true? ok nil on failure
---@return string? message
---@return string? name EBADF, ETERM, ENOMEM
function ZMQPoller:modify(object, events) end

---Unregisters an object, which stays open.
---
---Errors: "not registered"
---@param object zmqloop.Watchable
function ZMQPoller:unregister(object) end

---Waits until something is ready. Blocks other loops meanwhile.
---@param seconds? number nil or negative: for ever
---@return {[1]: zmqloop.Watchable, [2]: integer}[] ready the registered objects and their events;
--- empty when the time is up
function ZMQPoller:poll(seconds) end

---Unregisters everything; registered objects stay open. Closing twice is silent.
function ZMQPoller:close() end

---The module: loops and what runs on them. Times are seconds, except those of
---DelayedCallback and PeriodicCallback, which are milliseconds.
---@class zmqloop.ioloop
---@field IOLoop zmqloop.IOLoop the class of loops
---@field ZMQIOLoop zmqloop.IOLoop the same, under PyZMQ's name
---@field DelayedCallback zmqloop.DelayedCallback calls once
---@field PeriodicCallback zmqloop.PeriodicCallback calls periodically
---@field ZMQPoller zmqloop.ZMQPoller polls without callbacks
local ioloop = {}

---PyZMQ's `install()`. Nothing has to be replaced here: the global loop is always zmqloop's.
---@return zmqloop.IOLoop loop IOLoop.instance()
function ioloop.install() end

return ioloop
