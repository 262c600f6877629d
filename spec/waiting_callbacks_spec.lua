-- Callbacks of a loop may wait: the loop continues meanwhile. Times are those of a virtual clock.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test, sleep = helper.test, zmqloop.sleep

local function virtual(fn)
  return test(function(t) return fn(t, t.loop) end, {clock = "virtual"})
end

-- Steps until the condition holds, without time going on.
local function step_until(loop, condition)
  for _ = 1, 100000 do
    if condition() then return end
    loop:step(0)
  end
  error("the condition does not come to hold", 2)
end

describe("a callback that waits", function()
  after_each(helper.cleanup)

  it("of add_callback() and of a timeout goes on when its time has come, with its arguments",
    virtual(function(_, loop)
      local log = {}
      local function body(name, seconds)
        log[#log + 1] = ("%s at %g"):format(name, loop:time())
        sleep(seconds)
        log[#log + 1] = ("%s at %g"):format(name, loop:time())
      end
      loop:advance(1)
      loop:add_callback(body, "callback", 2)
      loop:call_later(1, body, "timeout", 3)
      loop:advance(10)
      assert.same({"callback at 1", "timeout at 2", "callback at 3", "timeout at 5"}, log)
    end))

  it("lets the others of its batch run", virtual(function(_, loop)
    local log = {}
    for i = 1, 3 do
      loop:call_later(1, function()
        log[#log + 1] = i
        sleep(1)
        log[#log + 1] = i
      end)
    end
    loop:advance(1)
    assert.same({1, 2, 3}, log)
    loop:advance(1)
    assert.same({1, 2, 3, 1, 2, 3}, log)
  end))

  it("awaits a future, and gets its error", virtual(function(t, loop)
    local future, got = zmqloop.Future(loop), nil
    loop:on_error(function(_, err) got = err end)
    loop:add_callback(t.expect(function() future:await() end))
    loop:advance(1)
    future:set_error("no luck")
    loop:advance(1)
    assert.matches("no luck", got)
  end))

  it("reports its error as any callback does: function, error, traceback",
    virtual(function(_, loop)
      local seen
      loop:on_error(nil)
      loop.handle_callback_exception = function(_, callback, err, traceback)
        seen = {callback, err, traceback}
      end
      local function body()
        sleep(1)
        error("after waiting")
      end
      loop:add_callback(body)
      loop:advance(2)
      assert.equal(body, seen[1])
      assert.matches("after waiting", seen[2])
      assert.matches("waiting_callbacks_spec", seen[3])
    end))

  it("is not collected while it waits", virtual(function(_, loop)
    local done = false
    loop:add_callback(function()
      sleep(1)
      done = true
    end)
    loop:advance(0)
    collectgarbage()
    collectgarbage()
    loop:advance(1)
    assert.is_true(done)
  end))

  it("may wait in a handler, which is not called again until it has returned",
    virtual(function(t, loop)
      local reader, writer = t:pipe()
      local calls = 0
      loop:add_handler(reader, function()
        calls = calls + 1
        sleep(1)
        assert(reader:read(1))
      end, "r")
      assert(writer:write("xy"))
      writer:flush()
      step_until(loop, function() return calls == 1 end)
      for _ = 1, 10 do loop:step(0) end
      assert.equal(1, calls)
      loop:advance(1)
      step_until(loop, function() return calls == 2 end)
      loop:advance(1)
      loop:remove_handler(reader)
    end))

  it("may wait in a handler whose peer hangs up", virtual(function(t, loop)
    local reader = t:keep(assert(io.popen("exit")))
    local calls = 0
    loop:add_handler(reader, function()
      calls = calls + 1
      sleep(1)
      loop:remove_handler(reader)
    end, "r")
    step_until(loop, function() return calls == 1 end)
    for _ = 1, 10 do loop:step(0) end
    assert.equal(1, calls)
    loop:advance(1)
    assert.equal(1, calls)
  end))
end)

describe("PeriodicCallback with a callback that waits", function()
  after_each(helper.cleanup)

  it("skips what it misses", virtual(function(_, loop)
    local starts, ends = {}, 0
    local periodic = zmqloop.PeriodicCallback(function()
      starts[#starts + 1] = loop:time()
      sleep(2.5)
      ends = ends + 1
    end, 1000, loop)
    periodic:start()
    loop:advance(10)
    periodic:stop()
    assert.same({1, 4, 7, 10}, starts)
    assert.equal(3, ends)
    loop:advance(10)
    assert.equal(4, ends)
  end))

  it("goes on after an error, before and after waiting", virtual(function(_, loop)
    local errors, calls = 0, 0
    loop:on_error(function() errors = errors + 1 end)
    local periodic = zmqloop.PeriodicCallback(function()
      calls = calls + 1
      if calls % 2 == 0 then sleep(0.5) end
      error("again")
    end, 1000, loop)
    periodic:start()
    loop:advance(4.9)
    periodic:stop()
    assert.equal(4, calls)
    assert.equal(4, errors)
  end))
end)

describe("on_recv with a callback that waits", function()
  after_each(helper.cleanup)

  local function pair(t)
    return t:streams("PULL", "PUSH")
  end

  local function send(push, count)
    for i = 1, count do assert(push:send(tostring(i))) end
  end

  it("gets the next message when it has returned", virtual(function(t, loop)
    local pull, push = pair(t)
    local log = {}
    pull:on_recv(function(frames)
      log[#log + 1] = ("%s at %g"):format(frames[1], loop:time())
      sleep(1)
    end)
    send(push, 3)
    step_until(loop, function() return #log == 1 end)
    for _ = 1, 10 do loop:step(0) end
    assert.same({"1 at 0"}, log)
    assert.is_true(pull:receiving())
    loop:advance(1)
    step_until(loop, function() return #log == 2 end)
    loop:advance(1)
    step_until(loop, function() return #log == 3 end)
    assert.same({"1 at 0", "2 at 1", "3 at 2"}, log)
  end))

  it("gets so many at once as concurrency says", virtual(function(t, loop)
    local pull, push = pair(t)
    local running, most, done = 0, 0, 0
    pull:on_recv(function(message)
      running = running + 1
      most = math.max(most, running)
      sleep(tonumber(message))
      running = running - 1
      done = done + 1
    end, {concurrency = 2, unpack = true})
    send(push, 6)
    for _ = 1, 100 do
      loop:step(0)
      loop:advance(1)
    end
    assert.equal(6, done)
    assert.equal(2, most)
  end))

  it("goes on after an error behind the wait", virtual(function(t, loop)
    local pull, push = pair(t)
    local errors, got = 0, {}
    loop:on_error(function() errors = errors + 1 end)
    pull:on_recv(function(frames)
      got[#got + 1] = frames[1]
      sleep(1)
      error("never mind")
    end)
    send(push, 3)
    for _ = 1, 100 do
      loop:step(0)
      loop:advance(1)
    end
    assert.same({"1", "2", "3"}, got)
    assert.equal(3, errors)
  end))

  it("goes on with what has yielded in its own way: that does not hold the stream",
    virtual(function(t, loop)
      local pull, push = pair(t)
      local waiting = {}
      pull:on_recv(function(frames)
        waiting[#waiting + 1] = coroutine.running()
        coroutine.yield()
        waiting[#waiting + 1] = frames[1]
      end)
      send(push, 2)
      step_until(loop, function() return #waiting == 2 end)
      for i = 1, 2 do assert(coroutine.resume(waiting[i])) end
      assert.same({"1", "2"}, {waiting[3], waiting[4]})
    end))

  it("may close the stream before and after it waits", virtual(function(t, loop)
    for _, before in ipairs{true, false} do
      local pull, push = pair(t)
      local ended = false
      pull:on_recv(function()
        if before then pull:close() end
        sleep(1)
        pull:close()
        ended = true
      end)
      send(push, 2)
      step_until(loop, function()
        loop:advance(1)
        return ended
      end)
      assert.is_true(pull:closed())
    end
  end))

  it("loses nothing to flush() meanwhile", virtual(function(t, loop)
    local pull, push = pair(t)
    local got = {}
    pull:on_recv(function(frames)
      got[#got + 1] = frames[1]
      sleep(1)
    end)
    send(push, 3)
    step_until(loop, function() return #got == 1 end)
    pull:flush(zmqloop.zmq.POLLIN)
    assert.equal(1, #got)
    for _ = 1, 100 do
      loop:step(0)
      loop:advance(1)
    end
    assert.same({"1", "2", "3"}, got)
  end))

  it("may wait in on_send, on_drain and the close callback", virtual(function(t, loop)
    local pull, push = pair(t)
    local log = {}
    local function waits(name)
      return function()
        sleep(1)
        log[#log + 1] = name
      end
    end
    pull:on_recv(function() end)
    push:on_send(waits("sent"))
    push:set_close_callback(waits("closed"))
    send(push, 1)
    step_until(loop, function()
      loop:advance(1)
      return #log == 1
    end)
    push:close()
    loop:advance(1)
    assert.same({"sent", "closed"}, log)
  end))
end)

describe("the calls of on_recv's callback that wait", function()
  after_each(helper.cleanup)

  it("are cancelled by the stream; then another callback has its turn", virtual(function(t, loop)
    local log = {}
    local a, b = t:streams("PAIR", "PAIR")
    a:on_recv(function(frames)
      local ok, err = zmqloop.pcall(sleep, math.huge)
      log[#log + 1] = ("%s %s %s"):format(frames[1], tostring(ok), tostring(err))
      error(err, 0)
    end, {concurrency = 2})
    assert.equal(0, a:cancel())
    for i = 1, 3 do b:send(tostring(i)) end
    loop:step(0)
    a:on_recv(function(frames) log[#log + 1] = "new " .. frames[1] end)
    for _ = 1, 5 do loop:step(0) end
    assert.same({}, log) -- it waits for the others
    assert.equal(2, a:cancel())
    step_until(loop, function() return #log == 3 end)
    assert.same({"1 false ECANCELED: cancelled", "2 false ECANCELED: cancelled", "new 3"}, log)
    assert.equal(0, a:cancel())
  end))

  it("are those of that stream, and go on if they catch it", virtual(function(t, loop)
    local log = {}
    local a, b = t:streams("PAIR", "PAIR")
    local c, d = t:streams("PAIR", "PAIR")
    a:on_recv(function()
      zmqloop.pcall(sleep, math.huge)
      sleep(1)
      log[#log + 1] = "a"
    end)
    c:on_recv(function()
      sleep(3)
      log[#log + 1] = "c"
    end)
    b:send("x")
    d:send("x")
    loop:step(0)
    loop:step(0)
    assert.equal(1, a:cancel())
    loop:advance(4)
    assert.same({"a", "c"}, log)
  end))

  it("are cancelled when the stream is closed, too", virtual(function(t, loop)
    local err
    local a, b = t:streams("PAIR", "PAIR")
    a:on_recv(function() err = select(2, zmqloop.pcall(sleep, math.huge)) end)
    b:send("x")
    loop:step(0)
    a:close()
    assert.equal(1, a:cancel())
    step_until(loop, function() return err end)
    assert.equal(zmqloop.CANCELLED, err)
  end))
end)
