-- How long the tasks live that wait for green sockets, and what they cost.
local helper = require("spec.helper")
local fixture = require("spec.green.fixture")
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq
local sleep = zmqloop.sleep

local test, pair = fixture.test, fixture.pair

describe("tasks that wait for green sockets", function()
  after_each(helper.cleanup)

  it("are kept while the loop waits for them, and collected with it", test(function(_, _, ctx)
    local weak = setmetatable({}, {__mode = "v"})
    local done
    helper.apart(function()
      local loop = zmqloop.IOLoop(helper.loop_options())
      local pull = ctx:socket("PULL")
      local address = "inproc://kept"
      assert(pull:bind(address))
      loop:spawn(function()
        local mine = {}
        weak.mine = mine
        local push = ctx:socket("PUSH", {connect = address})
        loop:call_later(0.01, function()
          push:send("x")
          push:close()
        end)
        done = pull:recv()
        pull:recv() -- for ever
        return mine
      end)
      for _ = 1, 50 do
        loop:step(0.005)
        collectgarbage()
        collectgarbage()
      end
      assert.equal("x", done)
      assert.is_table(weak.mine)
    end)
    for _ = 1, 4 do collectgarbage() end
    assert.is_nil(weak.mine)
  end))

  it("lose and double nothing wherever they are cancelled", test(function(t, loop)
    local Task = require("zmqloop.task")
    -- A request/reply with a client, a server and a device; in run `n` the client is cancelled
    -- at its n-th point of waiting.
    local function scenario(point)
      local rep, req = pair(t, "REP", "REQ")
      local log, points = {}, 0
      local function reach(name)
        log[#log + 1] = name
        points = points + 1
        return points == point and Task.current_task("test")
      end
      local server = loop:spawn(function()
        while true do
          local frames = rep:recv_multipart()
          if not frames then return end
          log[#log + 1] = "served " .. frames[1]
          sleep(0)
          rep:send_multipart(frames)
        end
      end)
      local client
      client = loop:spawn(function()
        for i = 1, 3 do
          if reach("poll") then client:cancel() end
          req:poll(nil, zmq.POLLOUT)
          if reach("send") then client:cancel() end
          sleep(0)
          req:send("request " .. i)
          if reach("recv") then client:cancel() end
          log[#log + 1] = "got " .. req:recv()
        end
      end)
      t:run_until(function() return client:done() end)
      t:settle()
      local cancelled = client:cancelled()
      req:close()
      rep:close()
      t:settle()
      assert.is_true(server:done())
      assert.is_nil(next(loop.watches_ or {}))
      return cancelled, log
    end
    local point = 0
    repeat
      point = point + 1
      local cancelled, log = scenario(point)
      local seen = {}
      for _, line in ipairs(log) do
        assert.is_nil(line:find("%d") and seen[line], line)
        seen[line] = true
      end
    until not cancelled
    assert.equal(10, point)
  end))

  -- The memory of a suspended coroutine that does nothing else, a few calls deep.
  local function bare_bytes(measure)
    local function yield(depth)
      if depth == 0 then return coroutine.yield() end
      local result = yield(depth - 1)
      return result
    end
    local list, before = {}, measure()
    for i = 1, 100 do
      list[i] = coroutine.create(function() return i, yield(5) end)
      coroutine.resume(list[i])
    end
    return (measure() - before) / 100
  end

  -- ZMQLOOP_TASKS=100000 for more.
  it("get their own replies, however many they are, and leave no memory", test(function(t, loop)
    local count = tonumber(os.getenv("ZMQLOOP_TASKS"))
      or os.getenv("ZMQLOOP_GC") == "stress" and 100 or 10000
    local router, dealer = pair(t, "ROUTER", "DEALER", {rcvhwm = 0, sndhwm = 0}, "ipc")
    dealer:set("rcvtimeo", 600000)
    local function measure()
      for _ = 1, 4 do collectgarbage() end
      return collectgarbage("count") * 1024
    end
    local waiting
    local spawn = zmqloop.IOLoop.spawn -- the helper's keeps all tasks

    local function serve(n)
      for i = 1, n do
        local message = router:recv_multipart()
        if i == 1 then
          sleep(0) -- all are waiting now
          waiting = measure()
        end
        router:send_multipart(message)
      end
    end

    local function round(n)
      local right = 0
      spawn(loop, serve, n)
      for i = 1, n do
        spawn(loop, function()
          dealer:send_multipart{"", tostring(i)}
          local reply = dealer:recv_multipart()
          if reply[2] == tostring(i) then right = right + 1 end
        end)
      end
      t:run_until(function() return right == n end, 600)
      t:settle()
    end

    round(10) -- what is made once
    local before = measure()
    round(count)
    local each, after = (waiting - before) / count - bare_bytes(measure), measure()
    local left
    for _ = 1, 5 do -- where more wait at once than before, a table has grown, for good
      round(count)
      after, left = measure(), measure() - after
      if left < 100000 then break end
    end
    if os.getenv("ZMQLOOP_TASKS") then
      print(("%d tasks: %.0f bytes each beside a coroutine's; %.0f left in all"):format(count,
        each, left))
    end
    assert.is_true(each < 2048, "a waiting task takes " .. each)
    assert.is_true(left < 100000, "memory is left: " .. left)
  end))
end)
