---@meta

-- The part of `zmqloop.ioloop` written in C: methods of the loop and of timeouts.
-- The part written in Lua is documented in ioloop.lua.
--
-- Times are seconds on the loop's monotonic clock. "Callable" is a function or a
-- value with `__call`; anything else raises. Everything belongs to the thread that
-- created the loop, and may be called inside callbacks unless stated otherwise. On
-- a closed loop everything but `add_callback`, `stop`, `time`, `running`, `closed`,
-- `close` and `remove_timeout` raises "loop is closed".

---An event loop: calls callbacks, timeouts and handlers of descriptors, sockets
---and streams, one after the other. After PyZMQ's and Tornado's IOLoop.
---@class zmqloop.IOLoop
local IOLoop = {}

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

---Runs what is due, and returns; for hosts with a loop of their own. If an error
---or a budget has interrupted an iteration, resumes that first. Raises as
---`start()` does.
---@param timeout? number seconds to wait for the first thing to do; 0 if nil
---@param budget? {events?: integer, seconds?: number} stops after this many callbacks, timeouts,
--- events and messages, or when the time is over; the rest waits, in order, for the next run
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
