-- What becomes of what a callback raises.
local helper = require("spec.helper")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop
local READ = IOLoop.READ
local test = helper.test

describe("IOLoop", function()
  after_each(helper.cleanup)

  describe("errors in callbacks", function()
    it("go to handle_callback_exception, overridden per loop", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local seen = {}
      function loop.handle_callback_exception(self, fn, err, traceback)
        seen[#seen + 1] = {self = self, fn = fn, err = err, traceback = traceback}
      end
      local function bad_callback() error("callback failed") end
      local problem = setmetatable({}, {__tostring = function() return "an object" end})
      local function bad_timer() error(problem) end
      local reader, writer = t:pipe()
      writer:write("x")
      local function bad_handler()
        loop:remove_handler(reader)
        error("handler failed", 0)
      end
      loop:add_callback(bad_callback)
      loop:call_later(0, bad_timer)
      loop:add_handler(reader, bad_handler, READ)
      loop:call_later(0.01, t.expect(function() loop:stop() end))
      loop:start()

      assert.equal(3, #seen)
      for _, report in ipairs(seen) do
        assert.equal(loop, report.self)
        assert.matches("stack traceback", report.traceback)
        if report.fn == bad_callback then
          assert.matches("callback failed", report.err)
          assert.matches("errors_spec.lua", report.traceback, 1, true)
        elseif report.fn == bad_timer then
          assert.equal(problem, report.err)
        else
          assert.equal(bad_handler, report.fn)
          assert.equal("handler failed", report.err)
        end
      end
    end))

    it("go to on_error(fn) with callback, error and traceback", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local function bad() error("oh", 0) end
      loop:on_error(t.expect(function(callback, err, traceback)
        assert.equal("oh", err)
        assert.matches("stack traceback", traceback)
        assert.equal(bad, callback)
      end))
      loop:add_callback(bad)
      loop:add_callback(t.expect(function() loop:stop() end))
      loop:start()
    end))

    it("may have any value, nil included", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      local seen = {}
      loop:on_error(function(...) seen[#seen + 1] = select(2, ...) == helper.nil_error end)
      loop:add_callback(function() error() end)
      loop:add_callback(function() error(nil) end)
      loop:add_callback(function() error(false) end)
      loop:add_callback(function() error({}) end)
      loop:add_callback(function() loop:stop() end)
      loop:start()
      assert.same({true, true, false, false}, seen)
    end))

    it('on_error("raise") raises the first one and loses none of the rest', test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      for _, method in ipairs{"start", "run", "step"} do
        local seen = {}
        loop:add_callback(function() seen[#seen + 1] = 1 end)
        loop:add_callback(function() error("first", 0) end)
        loop:add_callback(function() seen[#seen + 1] = 2 end)
        loop:add_callback(function() loop:stop() end)
        assert.has_error(function() loop[method](loop) end, "first")
        assert.is_false(loop:running())
        loop:start()
        assert.same({1, 2}, seen)
      end
    end))

    it('on_error("raise") keeps an error that is no string', test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      local problem = {}
      loop:add_callback(function() error(problem) end)
      local ok, err = pcall(loop.start, loop)
      assert.is_false(ok)
      assert.equal(problem, err)
    end))

    it("on_error(nil) goes back to handle_callback_exception", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error("raise")
      loop:on_error(nil)
      loop.handle_callback_exception = t.expect(function() loop:stop() end)
      loop:add_callback(function() error("x") end)
      loop:start()
      assert.has_error(function() loop:on_error("shout") end)
      assert.has_error(function() loop:on_error(1) end)
    end))

    it("of the error handler itself come out of start(), which then goes on", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error(function() error("handler failed", 0) end)
      loop:add_callback(function() error("callback failed", 0) end)
      loop:add_callback(t.expect(function() loop:stop() end))
      assert.has_error(function() loop:start() end, "handler failed")
      assert.equal(0, t.counters[1].calls)
      loop:start()
    end))

    it("are written to stderr by default, with the traceback", test(function(t)
      local output, status = t:run_child(helper.program("error_on_stderr"))
      assert.equal(0, status, output)
      assert.matches("Exception in callback", output)
      assert.matches("my message", output)
      assert.matches("stack traceback", output)
    end))

    it("are the same whichever method added the callback", test(function(t)
      t:expect_errors()
      for _, method in ipairs{"add_callback", "spawn_callback", "add_callback_from_signal"} do
        t.loop[method](t.loop, error, method, 0)
      end
      t.loop:add_callback(t.expect(function() t.loop:stop() end))
      t:start()
      assert.same({"add_callback", "spawn_callback", "add_callback_from_signal"}, t.errors)
    end))

    it("in a stack overflow reach the handler as well", test(function(t)
      local loop = t:keep(IOLoop(helper.loop_options()))
      loop:on_error(t.expect(function(_, err)
        assert.matches("overflow", tostring(err))
      end))
      local function deep() return 1 + deep() end
      loop:add_callback(deep)
      loop:add_callback(t.expect(function() loop:stop() end))
      loop:start()
    end))
  end)
end)
