---@meta zmqloop.testing

-- Tests of code that runs on a loop, with busted or any other runner. Names of Tornado's
-- testing. The body of a test is a task on a loop of its own, so it may wait. A test fails
-- on an error in its body or in a callback, on timeout, and if it leaves something open: a
-- handler, stream, timeout or signal handler of its loop, a task, a socket, a descriptor.

---What `async` takes.
---@class zmqloop.TestOptions
---@field timeout? number seconds that the body may take; `get_async_test_timeout()` if nil, with a
--- virtual clock for ever, as then a test that waits for nothing fails at once
---@field clock? "virtual" of the loop, see `IOLoop:advance`; time passes while the body sleeps
---@field get_new_ioloop? fun(options: table): zmqloop.IOLoop makes the loop
---@field left_open? "close" what is left open is closed, without failing the test
---@field class? table derived from testing.Test, with further methods

---A test while it runs.
---@class zmqloop.testing.Test
---@field loop zmqloop.IOLoop its loop, made on first use
---@field ctx zmqloop.Context its context, made on first use
local Test = {}

---Creates a test outside any runner. The caller must `close()` it.
---@param class table Test or a table derived from it
---@param options? zmqloop.TestOptions
---@return zmqloop.testing.Test test
function Test.new(class, options) end

---Called by the constructor, for derived classes.
function Test:initialize() end

---Called with the errors of callbacks. The first one ends the test, unless it is expected:
---`wait()` raises it, or else the body is cancelled.
---@param callback any
---@param err any
---@param traceback string
function Test:handle_error(callback, err, traceback) end

---Closes the object after the test, before the check for what is left open; last in, first
---closed.
---@generic T
---@param object T
---@param method? string its method that closes it; "close" if nil
---@return T object
function Test:keep(object, method) end

---A new socket of the test's context, closed after the test, without linger unless options
---say otherwise.
---@param kind zmqloop.SocketType|integer
---@param options? zmqloop.SocketOptions
---@return zmqloop.Socket socket
function Test:socket(kind, options) end

---A new stream on such a socket, on the test's loop.
---@param kind zmqloop.SocketType|integer
---@param options? zmqloop.SocketOptions
---@return zmqloop.ZMQStream stream
function Test:stream(kind, options) end

---Closes everything: what was kept, the loop with all that is registered, the context.
function Test:close() end

---Ends the `wait()` of the test, now or to come. May be called from anywhere.
---@param ... any what `wait()` returns
function Test:stop(...) end

---Suspends the test until `stop()` is called, unless it was called before. Raises the error of a
---callback. `wait(seconds)` is `wait(nil, seconds)`.
---
---Errors: "Async operation timed out after N seconds"
---@param condition? number|fun(): boolean? waits until it returns true after a `stop()`
---@param timeout? number seconds; 0: no limit; `get_async_test_timeout()` if nil
---@return any ... the arguments of `stop()`
function Test:wait(condition, timeout) end

---Suspends the test until `condition()` is true, which is checked every millisecond of the
---loop's clock.
---
---Errors: "Async operation timed out after N seconds"
---@param condition fun(): any
---@param timeout? number seconds, as for `wait`
function Test:wait_until(condition, timeout) end

---Expects errors of callbacks: those whose report, such as "Exception in callback main.lua:12:"
---with the traceback, matches do not fail the test. It fails if there is no such error by its
---end or, with fn, by the time fn has returned.
---@param pattern string a Lua pattern
---@param options? {required?: boolean} required=false: there need not be one
---@param fn? fun(): ...
---@return any expected what fn returned; without fn a table whose fields `matched` and `count` say
--- whether there was one, and how many
function Test:expect_log(pattern, options, fn) end

---A listening socket, which `bind_unused_port` returns.
---@class zmqloop.Listener
local Listener = {}

---Its descriptor's number, for `add_handler`.
---@return integer? fd nil if closed
function Listener:fileno() end

---Closes it. Closing twice is silent.
function Listener:close() end

---Gives its descriptor to the caller: for the option use_fd of a socket, which can then bind to
---the port without a race.
---@return integer? fd nil if closed
function Listener:release() end

---The module.
---@class zmqloop.testing
---@field Test zmqloop.testing.Test the class of tests
local testing = {}

---Returns the function to pass to `it`. It runs fn as a task on a new loop, raises an error if
---the test fails, and closes the loop with everything registered on it.
---@param fn fun(t: zmqloop.testing.Test, ...) the body; it may wait, and must not return anything
---@param options? zmqloop.TestOptions
---@return fun(...) test
function testing.async(fn, options) end

---`Test:wait` of the running test.
---@param condition? number|fun(): boolean? as there
---@param timeout? number seconds
---@return any ... the arguments of `stop()`
function testing.wait(condition, timeout) end

---`Test:stop` of the running test.
---@param ... any what `wait()` returns
function testing.stop(...) end

---`Test:expect_log` of the running test.
---@param pattern string a Lua pattern
---@param options? {required?: boolean} as there
---@param fn? fun(): ...
---@return any expected as there
function testing.expect_log(pattern, options, fn) end

---Creates the loop of a test. Can be replaced, here or by the option of `async`. A loop that is
---IOLoop.instance() is not closed after the test.
---@param options zmqloop.LoopOptions
---@return zmqloop.IOLoop loop
function testing.get_new_ioloop(options) end

---The default timeout of a test or a `wait()`: the environment's ASYNC_TEST_TIMEOUT, or 5.
---@return number seconds
function testing.get_async_test_timeout() end

---Binds a listening, non-blocking TCP socket to an unused port. Inside a test it is closed at
---the end of the test; else the caller closes it.
---@param reuse_port? boolean sets SO_REUSEPORT
---@param address? string numeric; 127.0.0.1 if nil
---@return zmqloop.Listener? listener nil on failure
---@return integer|string port the port, or the failure's message
---@return string? name EADDRINUSE, EINVAL, EMFILE
function testing.bind_unused_port(reuse_port, address) end

return testing
