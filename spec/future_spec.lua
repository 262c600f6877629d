-- Futures: results that come later.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test
local Future = zmqloop.Future

describe("a future", function()
  after_each(helper.cleanup)

  it("is pending until it has results, nils included", test(function(t)
    local future = Future(t.loop)
    assert.is_false(future:done())
    assert.is_true(future:set_result(nil, 42, nil))
    assert.is_true(future:done())
    assert.same(helper.pack(nil, 42, nil), helper.pack(future:result()))
    assert.is_nil(future:error())
    local empty = Future(t.loop)
    empty:set_result()
    assert.equal(0, select("#", empty:result()))
  end))

  it("raises its error from result() and returns it from error()", test(function(t)
    local future = Future(t.loop)
    local err = {}
    future:set_error(err)
    local ok, raised = pcall(future.result, future)
    assert.is_false(ok)
    assert.equal(err, raised)
    assert.equal(err, future:error())
  end))

  it("is misused by asking too early, or by finishing it twice", test(function(t)
    local future = Future(t.loop)
    assert.error_matches(function() future:result() end, "not done")
    assert.error_matches(function() future:error() end, "not done")
    assert.error_matches(function() future:set_error(nil) end, "set_error")
    future:set_result(1)
    assert.error_matches(function() future:set_result(2) end, "done already")
    assert.error_matches(function() future:set_error("x") end, "done already")
    assert.equal(1, future:result())
  end))

  it("calls its callbacks in order, each in the next iteration, never inline", test(function(t)
    local future, calls = Future(t.loop), {}
    local function note(name)
      return function(done)
        assert.equal(future, done)
        calls[#calls + 1] = name
      end
    end
    future:add_done_callback(note("a"))
    future:add_done_callback(note("b"))
    future:set_result(1)
    assert.same({}, calls)
    t.loop:step()
    assert.same({"a", "b"}, calls)
    future:add_done_callback(note("c"))
    assert.same({"a", "b"}, calls)
    t.loop:step()
    assert.same({"a", "b", "c"}, calls)
  end))

  it("goes on with the others when a callback fails [36]", test(function(t)
    t:expect_errors()
    local future, called = Future(t.loop), false
    future:add_done_callback(function() error("first") end)
    future:add_done_callback(function() called = true end)
    future:set_result(1)
    t.loop:step()
    assert.is_true(called)
    assert.equal(1, #t.errors)
    assert.matches("first", t.errors[1])
  end))

  it("can be cancelled, after which results are ignored [134]", test(function(t)
    local future = Future(t.loop)
    assert.is_true(future:cancel())
    assert.is_true(future:done())
    assert.is_true(future:cancelled())
    assert.is_false(future:cancel())
    assert.is_false(future:set_result(42))
    assert.is_false(future:set_error("late"))
    assert.equal(zmqloop.CANCELLED, future:error())
    local ok, err = pcall(future.result, future)
    assert.is_false(ok)
    assert.equal(zmqloop.CANCELLED, err)
  end))

  it("cannot be cancelled when it is done", test(function(t)
    local future = Future(t.loop)
    future:set_result(1)
    assert.is_false(future:cancel())
    assert.is_false(future:cancelled())
    assert.equal(1, future:result())
  end))

  it("has callbacks that are callable", test(function(t)
    assert.error_matches(function() Future(t.loop):add_done_callback(1) end, "add_done_callback")
  end))

  it("tells its state", test(function(t)
    local future = Future(t.loop)
    assert.equal("Future (pending)", tostring(future))
    future:set_result()
    assert.equal("Future (result)", tostring(future))
  end))

  local function drop_failed(t, look)
    helper.apart(function()
      local future = Future(t.loop)
      future:set_error("nobody looked")
      if look then look(future) end
    end)
    for _ = 1, 3 do
      collectgarbage()
      t.loop:step()
    end
  end

  it("reports an error that nobody looked at once, when it is collected [139]", test(function(t)
    t:expect_errors()
    drop_failed(t)
    assert.same({"nobody looked"}, t.errors)
  end))

  it("reports no error that was looked at", test(function(t)
    t:expect_errors()
    drop_failed(t, function(future) future:error() end)
    drop_failed(t, function(future) pcall(future.result, future) end)
    assert.same({}, t.errors)
  end))

  it("does not mind that its loop was closed", test(function()
    local loop = zmqloop.IOLoop(helper.loop_options())
    local future = Future(loop)
    future:add_done_callback(error)
    local failed = Future(loop)
    loop:close()
    future:set_result(1)
    failed:set_error("x")
    assert.equal(1, future:result())
    failed, future = nil, nil
    assert.is_nil(failed or future)
    collectgarbage()
  end))

  describe("given to add_future()", function()
    it("is handed to the function when it is done, on that loop [35]", test(function(t)
      local other = t:keep(zmqloop.IOLoop(helper.loop_options()))
      local future = Future(t.loop)
      local seen
      other:add_future(future, function(done)
        seen = done
        assert.equal(other, zmqloop.IOLoop.current())
      end)
      future:set_result(42)
      t.loop:step()
      assert.is_nil(seen)
      other:step()
      assert.equal(future, seen)
    end))

    it("may be done already, and is still not handed over inline", test(function(t)
      local future, seen = Future(t.loop), nil
      future:set_result(42)
      t.loop:add_future(future, function(done) seen = done:result() end)
      assert.is_nil(seen)
      t.loop:step()
      assert.equal(42, seen)
    end))

    it("has to be one", test(function(t)
      assert.error_matches(function() t.loop:add_future(42, print) end, "add_future.*Future")
      assert.error_matches(function() t.loop:add_future(Future(t.loop), 1) end, "add_future")
    end))
  end)
end)
