-- A green proxy that was cancelled, or that ended with its other side, lost a message of each
-- direction. What one side cannot take is left with the other.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local zmq, sleep = zmqloop.zmq, zmqloop.sleep
local test = require("spec.green.fixture").test

describe("green.proxy()", function()
  after_each(helper.cleanup)

  local ends = {
    ["it is cancelled"] = function(proxy) proxy:cancel() end,
    ["its time is over"] = function(proxy)
      zmqloop.pcall(zmqloop.with_timeout, 0.001, proxy)
    end,
    ["its other side is closed"] = function(_, back) back:close() end,
    ["its capture is closed"] = function(_, _, capture) capture:close() end,
  }
  for how, finish in pairs(ends) do
    for _, stuck in ipairs{"back", "capture"} do
      it(("leaves what %s cannot take, when %s"):format(stuck, how), test(function(t, loop, ctx)
        local front, source = ctx:socket("PULL"), ctx:socket("PUSH")
        assert(source:connect(t:bind(front)))
        local back, capture = ctx:socket("PUSH", {sndhwm = 1}), ctx:socket("PUSH", {sndhwm = 1})
        local free = ctx:socket("PULL")
        assert(free:connect(t:bind(stuck == "back" and capture or back)))
        for i = 1, 3 do source:send(tostring(i)) end
        loop:run_sync(function()
          local proxy = loop:spawn(green.proxy, front, back, capture)
          for _ = 1, 5 do sleep(0.001) end
          finish(proxy, back, capture)
          zmqloop.pcall(proxy.await, proxy)
          sleep(0.001)
        end, 10)
        for i = 1, 3 do assert.equal(tostring(i), front:recv(zmq.DONTWAIT)) end
        helper.fails("EAGAIN", free:recv(zmq.DONTWAIT))
      end))
    end
  end

  it("goes on when the other side can take something again", test(function(t, loop, ctx)
    local front, source = ctx:socket("PULL", {rcvhwm = 1}), ctx:socket("PUSH", {sndhwm = 1})
    assert(source:connect(t:bind(front)))
    local back, sink = ctx:socket("PUSH", {sndhwm = 1}), ctx:socket("PULL", {rcvhwm = 1})
    assert(sink:connect(t:bind(back)))
    loop:run_sync(function()
      local proxy = loop:spawn(green.proxy, front, back)
      loop:spawn(function()
        for i = 1, 300 do source:send_multipart{tostring(i), ""} end
      end)
      for i = 1, 300 do
        assert.same({tostring(i), ""}, sink:recv_multipart())
        if i % 50 == 0 then sleep(0.001) end
      end
      proxy:cancel()
      zmqloop.pcall(proxy.await, proxy)
    end, 10)
  end))

  it("shares its socket with a task that is in the middle of a message",
    test(function(t, loop, ctx)
      local front, source = ctx:socket("PULL"), ctx:socket("PUSH")
      assert(source:connect(t:bind(front)))
      local back, sink = ctx:socket("PUSH"), ctx:socket("PULL")
      assert(sink:connect(t:bind(back)))
      loop:run_sync(function()
        back:send("a", zmq.SNDMORE)
        source:send_multipart{"1", "2"}
        source:send_multipart{"3", "4"}
        assert.equal("1", front:recv())
        local proxy = loop:spawn(green.proxy, front, back)
        for _ = 1, 5 do sleep(0.001) end
        assert.equal("2", front:recv())
        for _ = 1, 5 do sleep(0.001) end
        back:send("b")
        assert.same({"a", "b"}, sink:recv_multipart())
        assert.same({"3", "4"}, sink:recv_multipart())
        proxy:cancel()
        zmqloop.pcall(proxy.await, proxy)
      end, 10)
    end))
end)
