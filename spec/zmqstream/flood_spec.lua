-- Receiving and sending so many messages that LuaJIT has compiled the code when something unusual
-- happens. The other Luas run the same tests, without a compiler.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local test = helper.test
local COUNT = 3000

-- A stream that has its messages already, and one that sends more.
local function flooded(t, count)
  local pull, push = t:stream("PULL", {rcvhwm = 0}), t:stream("PUSH", {sndhwm = 0})
  assert(push:connect(t:bind(pull)))
  for i = 1, count or COUNT do
    assert(push:send(tostring(i)))
  end
  return pull, push
end

-- Calls on_recv's function until `got` has as many messages, and checks them.
local function receive_all(t, got, count)
  t:run_until(function() return #got == (count or COUNT) end)
  for i, message in ipairs(got) do
    assert(message == tostring(i), ("message %d is %s"):format(i, message))
  end
end

for _, unpacks in ipairs{false, true} do
  local options = {unpack = unpacks}
  local function first(message)
    return unpacks and message or message[1]
  end

  describe("a flood of messages, " .. (unpacks and "unpacked" or "in lists"), function()
    after_each(helper.cleanup)

    it("arrives whole and in order", test(function(t)
      local got = {}
      flooded(t):on_recv(function(message) got[#got + 1] = first(message) end, options)
      receive_all(t, got)
    end))

    it("goes on after an error of its function", test(function(t)
      local got = {}
      t:expect_errors()
      flooded(t):on_recv(function(message)
        got[#got + 1] = first(message)
        if #got % 1000 == 0 then error("every thousandth") end
      end, options)
      receive_all(t, got)
      assert.equal(3, #t.errors)
    end))

    it("goes on after a function that waits", test(function(t)
      local got, waited = {}, 0
      flooded(t):on_recv(function(message)
        got[#got + 1] = first(message)
        if #got % 1000 == 0 then
          zmqloop.sleep(0)
          waited = waited + 1
        end
      end, options)
      receive_all(t, got)
      t:run_until(function() return waited == 3 end)
    end))

    it("goes on with another function, in the place of the one that runs", test(function(t)
      local got, calls = {}, {0, 0}
      local pull = flooded(t)
      local functions = {}
      for i = 1, 2 do
        functions[i] = function(message)
          got[#got + 1] = first(message)
          calls[i] = calls[i] + 1
          if #got % 1000 == 0 then pull:on_recv(functions[3 - i], options) end
        end
      end
      pull:on_recv(functions[1], options)
      receive_all(t, got)
      assert.same({2000, 1000}, calls)
    end))

    it("ends when its function closes the stream", test(function(t)
      local pull = flooded(t)
      local count = 0
      pull:on_recv(function()
        count = count + 1
        if count == 2000 then pull:close() end
      end, options)
      t:run_until(function() return pull:closed() end)
      t:settle()
      assert.equal(2000, count)
    end))

    it("rests while it is paused", test(function(t)
      local pull = flooded(t)
      local got = {}
      pull:on_recv(function(message)
        got[#got + 1] = first(message)
        if #got == 2000 then pull:pause() end
      end, options)
      receive_all(t, got, 2000)
      t:settle()
      assert.equal(2000, #got)
      pull:resume()
      receive_all(t, got)
    end))

    it("is not disturbed by what is collected meanwhile", test(function(t)
      local pull = flooded(t)
      local got, collected = {}, 0
      pull:on_recv(function(message)
        got[#got + 1] = first(message)
        helper.finalized(function()
          collected = collected + 1
          if not pull:closed() then pull:flush() end -- takes nothing out of turn
        end)
      end, options)
      receive_all(t, got)
      collectgarbage()
      collectgarbage()
      assert.is_true(collected > 0)
    end))

    it("has messages of other shapes in it", test(function(t)
      local pull, push = flooded(t)
      local many = {}
      for i = 1, 40 do many[i] = ("%d"):format(i):rep(i) end
      local shapes = {{"a", "b"}, {"", "", ""}, many, {("x"):rep(100000)}}
      local got, others = 0, 0
      pull:on_recv(function(...)
        local frames = unpacks and {...} or (...)
        if others < #shapes and #frames == #shapes[others + 1] and
          frames[1] == shapes[others + 1][1] then
          others = others + 1
          assert.same(shapes[others], frames)
        else
          got = got + 1
        end
      end, options)
      for _, shape in ipairs(shapes) do
        assert(push:send_multipart(shape))
        assert(push:send("between"))
      end
      t:run_until(function() return got == COUNT + #shapes end)
      assert.equal(#shapes, others)
    end))
  end)
end

describe("sending a flood", function()
  after_each(helper.cleanup)

  it("queues what the socket cannot take, in order", test(function(t)
    local pull, push = t:stream("PULL", {rcvhwm = 10}), t:stream("PUSH", {sndhwm = 10})
    assert(push:connect(t:bind(pull)))
    for i = 1, COUNT do assert(push:send(tostring(i))) end
    assert.is_true(push:sending())
    local got = {}
    pull:on_recv(function(frames) got[#got + 1] = frames[1] end)
    receive_all(t, got)
    assert.is_false(push:sending())
  end))

  it("keeps a stream that has something queued, and nobody else keeps", test(function(t)
    local pull = t:stream("PULL", {rcvhwm = 10})
    local endpoint = t:bind(pull)
    helper.apart(function()
      local push = zmqloop.ZMQStream(t.ctx:socket("PUSH", {sndhwm = 10, linger = 1000}), t.loop)
      assert(push:connect(endpoint))
      for i = 1, COUNT do assert(push:send_multipart{tostring(i)}) end
    end)
    collectgarbage()
    collectgarbage()
    local got = {}
    pull:on_recv(function(frames) got[#got + 1] = frames[1] end)
    receive_all(t, got)
  end))

  it("is refused when the queue is full, and on a closed stream raises", test(function(t)
    local push = t:stream("PUSH")
    push:set_send_hwm(COUNT)
    for _ = 1, COUNT do assert(push:send("x")) end
    for _ = 1, 100 do helper.fails("EAGAIN", push:send("x")) end
    push:close()
    helper.raises("stream is closed", push.send, push, "x")
    helper.raises("stream is closed", push.send_multipart, push, {"x"})
  end))

  it("reports each message from the moment on_send is set", test(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local received, sent = 0, 0
    pull:on_recv(function() received = received + 1 end)
    for _ = 1, COUNT do assert(push:send("x")) end
    push:on_send(function(frames, status)
      assert(frames[1] == "y" and status == true)
      sent = sent + 1
    end)
    for _ = 1, COUNT do assert(push:send("y")) end
    t:run_until(function() return received == 2 * COUNT and sent == COUNT end)
  end))

  it("checks what it is given", test(function(t)
    local push = t:stream("PUSH")
    for _ = 1, 300 do
      assert(push:send("x"))
      assert(push:send_multipart{"x", "y"})
    end
    helper.raises("bad argument #1 to 'send'", push.send, push, 1)
    helper.raises("bad argument #1 to 'send'", push.send, push)
    helper.raises("bad argument #1 to 'send_multipart'", push.send_multipart, push, {"x", 1})
    helper.raises("bad argument #1 to 'send_multipart'", push.send_multipart, push, {})
    helper.raises("bad self to 'send'", push.send, {}, "x")
    helper.raises("bad self to 'send'", push.send, io.stdout, "x")
  end))
end)
