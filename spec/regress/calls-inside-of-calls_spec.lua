-- A callback that made the core call the next one, without an end, ran out of
-- the C stack: an error past on_error(), or a crash.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local TOO_MANY = "too many loops and flushes inside of each other's callbacks"

describe("callbacks inside of callbacks", function()
  after_each(helper.cleanup)

  for _, method in ipairs({"on_recv", "on_recv_stream"}) do
    it("flush() in the stream's own " .. method .. " receives each message once",
      helper.test(function(t)
        local count, seen = 20000, 0
        local a, b = t:streams("PAIR", "PAIR")
        a.socket:set("rcvhwm", 0)
        b.socket:set("sndhwm", 0)
        a[method](a, function()
          seen = seen + 1
          a:flush()
        end)
        for i = 1, count do b:send(tostring(i)) end
        t:run_until(function() return seen >= count end)
        t:settle()
        assert.equal(count, seen)
      end))
  end

  it("a flush inside of another one of the stream sends, and receives nothing",
    helper.test(function(t)
      local a, b = t:streams("PAIR", "PAIR")
      local depth, deepest, inner = 0, 0, nil
      a:on_recv(function()
        depth = depth + 1
        deepest = math.max(deepest, depth)
        inner = a:flush("r")
        a:send("reply")
        a:flush()
        depth = depth - 1
      end)
      b:send("1")
      b:send("2")
      a:flush()
      assert.equal(1, deepest)
      assert.equal(0, inner)
      assert.same({"reply"}, b.socket:recv_multipart(zmqloop.zmq.DONTWAIT))
      assert.same({"reply"}, b.socket:recv_multipart(zmqloop.zmq.DONTWAIT))
    end))

  it("close callbacks may each close the next stream", helper.test(function(t)
    local streams, order = {}, {}
    for i = 1, 300 do
      streams[i] = t:stream("PAIR")
      streams[i]:set_close_callback(function(unsent)
        assert(unsent == 0)
        order[#order + 1] = i
        if streams[i + 1] then
          streams[i + 1]:close()
          assert(streams[i + 1]:closed())
        end
      end)
    end
    streams[1]:close()
    assert.equal(300, #order)
    for i = 1, 300 do assert.equal(i, order[i]) end
  end))

  it("each is told what was not sent, and an error skips none", helper.test(function(t)
    local told = {}
    local a, b, c = t:stream("PUSH"), t:stream("PUSH"), t:stream("PUSH")
    b:send("1")
    b:send("2")
    c:send("3")
    t.errors_expected = true
    a:set_close_callback(function(unsent)
      b:close()
      c:close()
      told[#told + 1] = unsent
      error("of the first")
    end)
    b:set_close_callback(function(unsent) told[#told + 1] = unsent error("of the second") end)
    c:set_close_callback(function(unsent) told[#told + 1] = unsent end)
    a:close()
    assert.same({0, 2, 1}, told)
    assert.equal(2, #t.errors)
    t.errors = {}
  end))

  it("a close callback may run the loop, whose close callbacks are called", helper.test(function(t)
    local order = {}
    local a, b = t:stream("PAIR"), t:stream("PAIR")
    b:set_close_callback(function() order[#order + 1] = "b" end)
    a:set_close_callback(function()
      t.loop:run_sync(function()
        b:close()
        zmqloop.sleep(0)
      end)
      order[#order + 1] = "a"
    end)
    a:close()
    assert.same({"b", "a"}, order)
  end))

  it("250 loops inside of each other are refused with an error, and all can be closed",
    helper.test(function(t)
      local deepest, refused = 0, nil
      local function deeper(depth)
        deepest = depth
        local loop = t:keep(zmqloop.IOLoop(helper.loop_options()))
        local stream = t:keep(zmqloop.ZMQStream(t:socket("PAIR"), loop))
        loop:on_error("raise")
        loop:add_callback(function()
          if depth < 250 then deeper(depth + 1) end
          loop:stop()
        end)
        local ok, err = pcall(loop.start, loop)
        if not ok then refused = refused or err end
        stream:close()
        loop:close()
      end
      deeper(1)
      assert.truthy(tostring(refused):find(TOO_MANY, 1, true))
      assert.is_true(deepest >= 20)
    end))

  it("streams that each flush the next are refused at some depth, and lose nothing",
    helper.test(function(t)
      local count, seen, refused = 100, 0, 0
      local streams, peers = {}, {}
      t.errors_expected = true
      for i = 1, count do
        streams[i], peers[i] = t:streams("PAIR", "PAIR")
        streams[i]:on_recv(function()
          seen = seen + 1
          if streams[i + 1] then streams[i + 1]:flush() end
        end)
        peers[i]:send("x")
      end
      streams[1]:flush()
      t:run_until(function() return seen == count end)
      for _, err in ipairs(t.errors) do
        assert.truthy(tostring(err):find(TOO_MANY, 1, true))
        refused = refused + 1
      end
      assert.is_true(refused > 0)
      t.errors = {}
    end))
end)
