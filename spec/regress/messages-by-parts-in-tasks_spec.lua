-- A message that a task sends or receives part by part is one message, whatever other tasks do
-- meanwhile, and however the task ends. Frames of several tasks were mixed, and a send that libzmq
-- had refused was reported as successful.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq
local plain_pcall = pcall
local sleep, pcall = zmqloop.sleep, zmqloop.pcall
local fails = helper.fails
local test = require("spec.green.fixture").test

local function pair(t, ctx, sender, receiver, options, receiver_options)
  local a, b = ctx:socket(receiver, receiver_options), ctx:socket(sender, options)
  assert(b:connect(t:bind(a)))
  return b, a
end

local function run(t, fn)
  t.loop:run_sync(fn, 20)
  t:raise_errors()
end

-- What has come, as far as it has; nothing waits.
local function received(pull)
  local messages = {}
  while true do
    local frames, _, name = pull:recv_multipart(zmq.DONTWAIT)
    if not frames then
      assert.equal("EAGAIN", name)
      return messages
    end
    messages[#messages + 1] = table.concat(frames, " ")
  end
end

describe("a message that a task sends part by part", function()
  after_each(helper.cleanup)

  it("leaves nothing behind that a refused send is taken for", test(function(t, _, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL", {sndhwm = 100}, {rcvhwm = 29})
    run(t, function()
      assert(push:send("first"))
      for i = 1, 128 do
        assert(push:send("a" .. i, zmq.SNDMORE))
        assert(push:send("b" .. i))
      end
      fails("EAGAIN", push:send("lost", zmq.DONTWAIT))
    end)
    local messages = received(pull)
    assert.equal(129, #messages)
    assert.equal("a128 b128", messages[129])
  end))

  it("is not mixed with those of others, who wait for it in their turn", test(function(t, loop, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL", {sndhwm = 2}, {rcvhwm = 2})
    run(t, function()
      for name = 1, 3 do
        loop:spawn(function()
          for i = 1, 300 do
            local text = name .. ":" .. i
            if name == 3 then
              assert(push:send_multipart{text, text})
            else
              assert(push:send(text, zmq.SNDMORE))
              if i % 7 == 0 then sleep(0) end
              assert(push:send(text))
            end
          end
        end)
      end
      local last = {0, 0, 0}
      for _ = 1, 900 do
        local frames = pull:recv_multipart()
        assert.equal(2, #frames)
        assert.equal(frames[1], frames[2])
        local name, i = frames[1]:match("^(%d):(%d+)$")
        assert.equal(last[tonumber(name)] + 1, tonumber(i))
        last[tonumber(name)] = tonumber(i)
      end
    end)
  end))

  it("goes out before those of who stands in line, also where there was no peer",
    test(function(t, loop, ctx)
      local push = ctx:socket("PUSH", {sndhwm = 1})
      run(t, function()
        for _, name in ipairs{"a", "b"} do
          loop:spawn(function()
            assert.is_true(push:send(name .. 1, zmq.SNDMORE))
            assert.is_true(push:send(name .. 2))
          end)
        end
        sleep(0)
        sleep(0)
        local pull = ctx:socket("PULL")
        push:connect(t:bind(pull))
        assert.same({"a1", "a2"}, pull:recv_multipart())
        assert.same({"b1", "b2"}, pull:recv_multipart())
      end)
    end))

  it("keeps others waiting, who may give up, without making the loop spin",
    test(function(t, loop, ctx)
      local push, pull = pair(t, ctx, "PUSH", "PULL", {sndtimeo = 10})
      run(t, function()
        assert(push:send("a", zmq.SNDMORE))
        local refused, cancelled
        loop:spawn(function() refused = {push:send("by time")} end)
        local given_up = loop:spawn(function()
          push:set("sndtimeo", -1)
          cancelled = {pcall(push.send, push, "by cancel")}
        end)
        loop:spawn(function() fails("EAGAIN", push:send("not now", zmq.DONTWAIT)) end)
        t.loop:call_later(0.02, given_up.cancel, given_up)
        local before = loop:stats().iterations
        repeat sleep(0.005) until refused and cancelled
        assert.is_true(loop:stats().iterations - before < 200, "the loop spins")
        assert.equal("EAGAIN", refused[3])
        assert.is_false(cancelled[1])
        local next_one = loop:spawn(push.send_multipart, push, {"c", "d"})
        sleep(0)
        assert(push:send("b"))
        assert.is_true(next_one:await())
        assert.same({"a", "b"}, pull:recv_multipart())
        assert.same({"c", "d"}, pull:recv_multipart())
      end)
      assert.is_nil(next(loop.watches_ or {}))
    end))

  local ends = {
    ["is cancelled"] = function() sleep(100) end,
    ["fails"] = function() error("planned", 0) end,
    ["returns"] = function() end,
  }
  for how, finish in pairs(ends) do
    it("was never sent where the task " .. how .. " before its end", test(function(t, loop, ctx)
      t:expect_errors()
      local push, pull = pair(t, ctx, "PUSH", "PULL")
      run(t, function()
        local task = loop:spawn(function()
          push:send("half", zmq.SNDMORE)
          push:send_multipart({"of", "it"}, zmq.SNDMORE)
          sleep(0)
          finish()
        end)
        local next_one = loop:spawn(function()
          push:send("c", zmq.SNDMORE)
          push:send("d")
        end)
        sleep(0)
        if how == "is cancelled" then
          sleep(0)
          task:cancel()
        end
        next_one:await()
        pcall(task.await, task)
        push:send_multipart{"e", "f"}
        assert.same({"c", "d"}, pull:recv_multipart())
        assert.same({"e", "f"}, pull:recv_multipart())
      end)
      if how == "returns" then -- nothing else would report it
        t:run_until(function() return t.errors[1] end)
        assert.matches("EFSM: a task or callback sent the first 3 parts of a message and ended",
          t.errors[1])
      else
        assert.same({}, t.errors)
      end
    end))
  end

  it("goes to the next peer, whole, if the first one is gone before its end",
    test(function(t, loop, ctx)
      for _, kinds in ipairs{{"PUSH", "PULL"}, {"DEALER", "DEALER"}, {"PAIR", "PAIR"}} do
        local push = ctx:socket(kinds[1])
        local address = t:bind(push)
        local gone = ctx:socket(kinds[2], {connect = address})
        run(t, function()
          push:poll(nil, zmq.POLLOUT)
          push:send("a", zmq.SNDMORE)
          gone:close()
          repeat sleep(0.001) until push:get("events") == 0
          assert.is_true(push:send("b", zmq.SNDMORE))
          local sent = loop:spawn(function()
            push:set("sndtimeo", 1)
            fails("EAGAIN", push:send("in time")) -- others have to wait
          end)
          push:set("sndtimeo", -1)
          sent:await()
          push:set("sndtimeo", -1)
          local pull = ctx:socket(kinds[2])
          loop:call_later(0.005, function() pull:connect(address) end)
          assert.is_true(push:send("c"))
          assert.same({"a", "b", "c"}, pull:recv_multipart())
        end)
      end
    end))

  it("is over when its last part could not be sent in time, or its wait was cancelled",
    test(function(t, loop, ctx)
      local push = ctx:socket("PUSH")
      local address = t:bind(push)
      for _, how in ipairs{"by sndtimeo", "by DONTWAIT", "by cancel"} do
        local gone = ctx:socket("PULL", {connect = address})
        run(t, function()
          push:set("sndtimeo", -1)
          push:poll(nil, zmq.POLLOUT)
          push:send("a", zmq.SNDMORE)
          gone:close()
          repeat sleep(0.001) until push:get("events") == 0
          if how == "by sndtimeo" then
            push:set("sndtimeo", 1)
            fails("EAGAIN", push:send("b"))
          elseif how == "by DONTWAIT" then
            fails("EAGAIN", push:send("b", zmq.DONTWAIT))
          else
            local me = require("zmqloop.task").current_task("test")
            loop:call_later(0.001, me.cancel, me)
            assert.is_false(pcall(push.send, push, "b"))
          end
          push:set("sndtimeo", -1)
          local pull = ctx:socket("PULL", {connect = address})
          push:send("c", zmq.SNDMORE)
          push:send("d")
          assert.same({"c", "d"}, pull:recv_multipart())
          pull:close()
          repeat sleep(0.001) until push:get("events") == 0
        end)
      end
    end))

  it("ends with the socket, for all who wait", test(function(t, loop, ctx)
    local push = pair(t, ctx, "PUSH", "PULL")
    local owner = loop:spawn(function()
      push:send("a", zmq.SNDMORE)
      sleep(0.005)
      return pcall(push.send, push, "b")
    end)
    local other = loop:spawn(push.send, push, "c")
    run(t, function()
      sleep(0)
      push:close()
      fails("ENOTSOCK", other:await())
      local ok, err = owner:await()
      assert.is_false(ok)
      assert.matches("socket is closed", err)
    end)
  end))

  it("keeps tasks of another loop waiting, too", test(function(t, loop, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL")
    local second = zmqloop.IOLoop(helper.loop_options())
    t:keep(second)
    t:watch(second)
    local owner = loop:spawn(function()
      push:send("a", zmq.SNDMORE)
      sleep(0.005)
      push:send("b")
    end)
    loop:step(0)
    local other = second:spawn(push.send_multipart, push, {"c", "d"})
    for _ = 1, 5 do second:step(0) end
    assert.is_false(other:done())
    t:run_until(function() return owner:done() end)
    for _ = 1, 1000 do
      if other:done() then break end
      second:step(0.01)
    end
    assert.is_true(other:result())
    assert.same({"a b", "c d"}, received(pull))
  end))

  it("in a callback that waits is that callback's; one that fails leaves nothing",
    test(function(t, loop, ctx)
      t:expect_errors()
      local push, pull = pair(t, ctx, "PUSH", "PULL")
      loop:add_callback(function()
        push:send("half", zmq.SNDMORE)
        error("planned", 0)
      end)
      local done
      loop:add_callback(function()
        push:send("a", zmq.SNDMORE)
        sleep(0.002)
        push:send("b")
        done = true
      end)
      local task = loop:spawn(push.send_multipart, push, {"c", "d"})
      t:run_until(function() return done and task:done() end)
      assert.same({"a b", "c d"}, received(pull))
      assert.equal("planned", t.errors[1])
      assert.matches("EFSM", t.errors[2])
      assert.is_nil(t.errors[3])
    end))

  it("outside of tasks keeps tasks waiting as well", test(function(t, loop, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL")
    push:send("a", zmq.SNDMORE)
    local task = loop:spawn(push.send_multipart, push, {"c", "d"})
    t:settle()
    assert.is_false(task:done())
    push:send("b")
    t:run_until(function() return task:done() end)
    assert.same({"a b", "c d"}, received(pull))
  end))

  it("is not mixed with what a stream on the socket sends, nor taken for one of its own",
    test(function(t, loop)
      for _, context in ipairs{green.Context{linger = 0}, zmq.Context{linger = 0}} do
        t:keep{close = function() context:destroy(0) end}
        local a, b = context:socket("PAIR"), context:socket("PAIR")
        assert(b:connect(t:bind(a)))
        local stream = zmqloop.ZMQStream(a, loop)
        t:keep(stream)
        assert.is_true(a:send("a", zmq.SNDMORE))
        assert.is_true(stream:send_multipart{"x", "y"})
        assert.is_true(a:send("b"))
        assert.same({"x y", "a b"}, received(b))
        b:send_multipart{"1", "2"}
        b:send_multipart{"3", "4"}
        assert.equal("1", a:recv())
        local got
        stream:on_recv(function(frames) got = frames end)
        t:run_until(function() return got end)
        assert.same({"3", "4"}, got)
        assert.equal(1, a:get("rcvmore"))
        assert.equal("2", a:recv())
        assert.equal(0, a:get("rcvmore"))
      end
    end))

  it("is one of any type of socket", test(function(t, _, ctx)
    local router, dealer = pair(t, ctx, "ROUTER", "DEALER", {router_mandatory = true},
      {routing_id = "d"})
    local req, rep = pair(t, ctx, "REQ", "REP")
    local sub, pub = pair(t, ctx, "SUB", "XPUB", {subscribe = {"b"}})
    run(t, function()
      assert(dealer:send("", zmq.SNDMORE))
      assert(dealer:send("hi"))
      assert.same({"d", "", "hi"}, router:recv_multipart())
      for _, part in ipairs{"d", "", "re"} do
        assert(router:send(part, part ~= "re" and zmq.SNDMORE or 0))
      end
      assert.same({"", "re"}, dealer:recv_multipart())
      assert(router:send("nobody", zmq.SNDMORE))
      fails("EHOSTUNREACH", router:send("x"))
      assert(router:send_multipart{"d", "again"})
      assert.same({"again"}, dealer:recv_multipart())

      fails("EFSM", rep:send("x", zmq.SNDMORE))
      assert(req:send("a", zmq.SNDMORE))
      assert(req:send("b"))
      assert(req:send("c", zmq.SNDMORE))
      fails("EFSM", req:send("d"))
      assert.equal("a", rep:recv())
      assert.equal("b", rep:recv())
      assert(rep:send("c", zmq.SNDMORE))
      assert(rep:send("d"))
      assert.same({"c", "d"}, req:recv_multipart())

      assert.equal("\1b", pub:recv())
      for _, topic in ipairs{"a", "b"} do
        assert(pub:send(topic, zmq.SNDMORE))
        assert(pub:send("x"))
      end
      assert.same({"b", "x"}, sub:recv_multipart())
      fails("ENOTSUP", sub:send("x"))

      local stream, other = ctx:socket("STREAM"), ctx:socket("STREAM")
      assert(other:connect(t:bind(stream, "tcp")))
      local id = stream:recv_multipart()[1]
      assert(stream:send(id, zmq.SNDMORE)) -- in the manual's way: both parts with SNDMORE
      assert(stream:send("bytes", zmq.SNDMORE))
      other:recv_multipart()
      assert.equal("bytes", other:recv_multipart()[2])
    end)
  end))
end)

describe("a message that a task receives part by part", function()
  after_each(helper.cleanup)

  it("is its own to the end, and rcvmore is about its own part", test(function(t, loop, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL")
    run(t, function()
      for i = 1, 600 do push:send_multipart{tostring(i), "x" .. i, "y" .. i} end
      local seen, tasks = {}, {}
      for name = 1, 3 do
        tasks[name] = loop:spawn(function()
          for _ = 1, 200 do
            local frames = {}
            if name == 3 then
              frames = pull:recv_multipart()
            else
              repeat
                frames[#frames + 1] = pull:recv()
                if #frames == name then sleep(0) end
              until pull:get(name == 1 and "rcvmore" or zmq.RCVMORE) == 0
            end
            assert.equal(3, #frames)
            assert.equal("x" .. frames[1], frames[2])
            assert.equal("y" .. frames[1], frames[3])
            seen[tonumber(frames[1])] = true
          end
        end)
      end
      zmqloop.gather(tasks)
      assert.equal(600, #seen)
    end)
  end))

  it("keeps others waiting for a whole one, without making the loop spin",
    test(function(t, loop, ctx)
      local push, pull = pair(t, ctx, "PUSH", "PULL")
      run(t, function()
        push:send_multipart{"a", "b", "c"}
        push:send_multipart{"d", "e"}
        assert.equal("a", pull:recv())
        local whole = loop:spawn(pull.recv_multipart, pull)
        local refused
        loop:spawn(function()
          fails("EAGAIN", pull:recv(zmq.DONTWAIT))
          fails("EAGAIN", pull:recv_multipart(zmq.DONTWAIT))
          assert.equal(0, pull:get("rcvmore"))
          pull:set("rcvtimeo", 1)
          fails("EAGAIN", pull:recv())
          pull:set("rcvtimeo", -1)
          refused = true
        end)
        local before = loop:stats().iterations
        repeat sleep(0.005) until refused
        assert.is_true(loop:stats().iterations - before < 200, "the loop spins")
        assert.equal(1, pull:get("rcvmore"))
        assert.same({"b", "c"}, pull:recv_multipart())
        assert.same({"d", "e"}, whole:await())
      end)
    end))

  it("goes where its task has gone that fails or is cancelled", test(function(t, loop, ctx)
    local push, pull = pair(t, ctx, "PUSH", "PULL")
    for _, method in ipairs{"recv", "recv_multipart"} do
      for _, how in ipairs{"fails", "is cancelled"} do
        run(t, function()
          push:send_multipart{"a", "b", "c"}
          push:send_multipart{"d", "e"}
          local task = loop:spawn(function()
            pull:recv()
            sleep(0)
            if how == "fails" then error("planned", 0) end
            sleep(100)
          end)
          sleep(0)
          local next_one = loop:spawn(function()
            local first = pull[method](pull)
            return type(first) == "table" and first or {first, pull:recv()}
          end)
          sleep(0)
          if how == "is cancelled" then
            sleep(0)
            task:cancel()
          end
          assert.same({"d", "e"}, next_one:await())
          pcall(task.await, task)
        end)
      end
    end
  end))

  it("is left by a task that returns to who asks for a part, and not for a message",
    test(function(t, loop, ctx)
      local push, pull = pair(t, ctx, "PUSH", "PULL")
      run(t, function()
        push:send_multipart{"a", "b", "c"}
        push:send_multipart{"d", "e"}
        assert.equal("a", loop:spawn(pull.recv, pull):await())
        assert.equal("b", loop:spawn(pull.recv, pull):await())
        assert.same({"d", "e"}, pull:recv_multipart())
      end)
    end))

  it("lets go of those who wait for its end, also without memory", test(function(t, loop, ctx)
    local has_faultalloc, faultalloc = pcall(require, "faultalloc")
    if not has_faultalloc then pending("needs the module faultalloc of the build") end
    local fail_once, off = faultalloc.fail_once, faultalloc.off
    local function with_failure(n, fn, ...)
      fail_once(n)
      return fn(...)
    end
    local push, pull = pair(t, ctx, "PUSH", "PULL")
    -- In the middle of a message, while others are held up: ends it, with memory for fewer and
    -- fewer allocations.
    local function try(n, begin, finish, socket, method, ...)
      begin()
      local other = loop:spawn(socket[method], socket, ...)
      for _ = 1, 4 do sleep(0) end -- it was ready, but not for that one
      local ok, done = plain_pcall(with_failure, n, finish)
      off()
      if not (ok and done) then assert(finish()) end
      for _ = 1, 10 do
        if other:done() then break end
        sleep(0.001)
      end
      assert.is_true(other:done(), method .. " without memory for allocation " .. n)
      return other:result()
    end
    run(t, function()
      for n = 1, 12 do
        push:send_multipart{"a", "b"}
        push:send_multipart{"c", "d"}
        pull:poll()
        assert.same({"c", "d"}, try(n, function() assert.equal("a", pull:recv()) end,
          function() return pull:recv(zmq.DONTWAIT) end, pull, "recv_multipart"))
        try(n, function() assert(push:send("e", zmq.SNDMORE)) end,
          function() return push:send("f", zmq.DONTWAIT) end, push, "send_multipart", {"g"})
        repeat local frames = pull:recv_multipart() until frames[1] == "g"
      end
    end)
  end))

  it("loses nothing to a lack of memory, nor its task", test(function(t, loop, ctx)
    local has_faultalloc, faultalloc = pcall(require, "faultalloc")
    if not has_faultalloc then pending("needs the module faultalloc of the build") end
    local fail_once, off = faultalloc.fail_once, faultalloc.off
    -- Inside pcall: the call may make Lua's stack grow, which needs memory.
    local function with_failure(n, fn, ...)
      fail_once(n)
      return fn(...)
    end
    -- What fn answers when memory was enough in the end; it raises before.
    local function until_done(fn, ...)
      for n = 1, 100 do
        local ok, result, _, name = plain_pcall(with_failure, n, fn, ...)
        off()
        if ok then
          assert(result, name)
          return result
        end
        assert.matches("memory", tostring(result))
      end
      error("memory was never enough", 0)
    end
    for _, context in ipairs{ctx, green.Context{linger = 0}} do
      t:keep{close = function() context:destroy(0) end}
      local push, pull = pair(t, context, "PUSH", "PULL")
      run(t, function()
        local flags = zmq.SNDMORE + zmq.DONTWAIT
        until_done(push.send, push, "a", flags)
        until_done(push.send_multipart, push, {"b", "c"}, flags)
        local other = loop:spawn(push.send, push, "alone")
        sleep(0)
        assert.is_false(other:done())
        until_done(push.send, push, zmq.Frame("d"), zmq.DONTWAIT)
        assert.is_true(other:await())
        pull:poll()
        for _, part in ipairs{"a", "b"} do
          assert.equal(part, until_done(pull.recv, pull, zmq.DONTWAIT))
          assert.equal(1, pull:get("rcvmore"))
        end
        other = loop:spawn(pull.recv, pull)
        sleep(0)
        assert.is_false(other:done())
        assert.same({"c", "d"}, until_done(pull.recv_multipart, pull, zmq.DONTWAIT))
        assert.equal("alone", other:await())
      end)
    end
  end))
end)
