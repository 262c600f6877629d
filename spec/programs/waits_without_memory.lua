-- Each operation that waits, with no memory for its first, second, third allocation and so on, in a
-- callback and in a task. Prints what was wrong, and how often an operation has failed.
local faultalloc = require("faultalloc")
if rawget(_G, "jit") then jit.off() end -- which lacks memory itself
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq

local MOST = 80      -- allocations of an operation
local WAKES = 0.01   -- when what it waits for comes, in seconds
local TIMEOUT = 0.02 -- of those that have one
local SLEEP = 0.05   -- of the wait after a failed one

-- Name -> a function of a loop that returns the operation, what wakes it, and a text of who waits.
local operations = {}

function operations.sleep()
  return function() zmqloop.sleep(TIMEOUT) end
end

for name, seconds in pairs{["without a limit"] = false, ["with a limit"] = TIMEOUT} do
  operations["an event " .. name] = function()
    local event = zmqloop.Event()
    return function() event:wait(seconds or nil) end, function() event:set() end,
      function() return tostring(event):match("%d+ waiting") end
  end

  operations["a future " .. name] = function(loop)
    local future = zmqloop.Future(loop)
    return function() future:await(seconds or nil) end, function() future:set_result(1) end
  end

  operations["a shielded future " .. name] = function(loop)
    local future = zmqloop.Future(loop)
    return function() zmqloop.shield(future):await(seconds or nil) end,
      function() future:set_result(1) end
  end

  operations["two futures " .. name] = function(loop)
    local a, b = zmqloop.Future(loop), zmqloop.Future(loop)
    return function() zmqloop.gather{a, b} end, function()
      if not a:done() then a:set_result(1) end -- a failed gather() has cancelled none
      if not b:done() then b:set_result(2) end
    end
  end

  operations["a lock " .. name] = function()
    local lock = zmqloop.Lock()
    assert(lock:acquire(0))
    return function()
      if lock:acquire(seconds or nil) then lock:release() end
    end, function() lock:release() end, function() return tostring(lock):match("%d+ waiting") end
  end

  operations["a queue " .. name] = function()
    local queue = zmqloop.Queue()
    return function() queue:get(seconds or nil) end, function() queue:put_nowait(1) end
  end

  operations["a message " .. name] = function(loop, own)
    own.a, own.b = own:pair(loop)
    return function() own.b:recv(seconds or nil) end, function() own.a:send("x") end
  end

  operations["a queue of messages " .. name] = function(loop, own)
    own.a, own.b = own:pair(loop)
    own.a:set_send_hwm(1)
    return function()
      for _ = 1, 3 do own.a:send_wait("x", seconds or nil) end
    end, function() own.b:on_recv(function() end) end
  end

  operations["a message of a green socket " .. name] = function(_, own)
    own:green_pair(seconds)
    return function() own.b:recv_multipart() end, function() own.a:send("x", zmq.DONTWAIT) end
  end

  operations["the parts of a message of a green socket " .. name] = function(loop, own)
    own:green_pair(seconds)
    loop:spawn(function() own.b:recv_multipart() end) -- first in line
    return function()
      if own.b:recv() then
        assert(own.b:get("rcvmore") == 1)
        assert(own.b:recv() == "c")
      end
    end, function()
      for _, list in ipairs{{"a"}, {"b", "c"}, {"d"}} do
        own.a:send_multipart(list, zmq.DONTWAIT)
      end
    end
  end

  operations["room in a green socket " .. name] = function(_, own)
    own:green_pair(seconds)
    while own.a:send("x", zmq.DONTWAIT) do end -- luacheck: ignore 542
    return function() own.a:send_multipart{"y", "z"} end, function()
      while own.b:recv(zmq.DONTWAIT) do end -- luacheck: ignore 542
    end
  end
end

local Own = {}
Own.__index = Own

function Own:pair(loop)
  self.context = zmq.Context()
  local a = zmqloop.ZMQStream(self.context:socket("PAIR", {sndhwm = 1}), loop)
  local b = zmqloop.ZMQStream(self.context:socket("PAIR", {rcvhwm = 1}), loop)
  assert(a:bind("inproc://waits"))
  assert(b:connect("inproc://waits"))
  return a, b
end

-- Of sockets, which wait for this many seconds, or if false without a limit.
function Own:green_pair(seconds)
  self.context = green.Context()
  local options = {linger = 0, sndhwm = 2, rcvhwm = 2}
  if seconds then options.rcvtimeo, options.sndtimeo = seconds * 1000, seconds * 1000 end
  self.a, self.b = self.context:socket("PAIR", options), self.context:socket("PAIR", options)
  assert(self.a:bind("inproc://waits"))
  assert(self.b:connect("inproc://waits"))
end

local starts = {
  callback = function(loop, body) loop:add_callback(body) end,
  task = function(loop, body) return loop:spawn(body) end,
}

-- Returns whether the operation has failed.
local function try(how, name, n)
  local loop = zmqloop.IOLoop{clock = "virtual"}
  local own = setmetatable({}, Own)
  local operation, wake, waiting = operations[name](loop, own)
  local errors, ended, failed, wrong = {}, false, false, nil
  local function check(holds, what, ...)
    faultalloc.off()
    if not holds and not wrong then
      wrong = ("%s in a %s, allocation %d: %s"):format(name, how, n, what:format(...))
    end
  end
  loop:on_error(function(_, err)
    faultalloc.off()
    errors[#errors + 1] = tostring(err)
  end)
  local task = starts[how](loop, function()
    if wake then
      loop:call_later(WAKES, function()
        faultalloc.off()
        wake()
      end)
    end
    local ok, err = zmqloop.pcall(function()
      faultalloc.fail_once(n)
      operation()
    end)
    faultalloc.off()
    if not ok then
      failed = true
      -- Where the wake-up had no memory that was reported, and anything may end the wait.
      check(#errors > 0 or tostring(err):find("memory"), "raised %s", tostring(err))
      check(not waiting or waiting() == "0 waiting", "%s", waiting and waiting())
      local before = loop:time()
      zmqloop.sleep(SLEEP)
      check(loop:time() - before >= SLEEP - 1e-9, "the next wait took %g", loop:time() - before)
    end
    ended = true
  end)
  for _ = 1, 100 do pcall(loop.step, loop, 0.01) end
  faultalloc.off()
  if task and task:done() then errors[#errors + 1] = task:error() end
  check(ended or #errors > 0, "never ended")
  for _, err in ipairs(errors) do check(tostring(err):find("memory"), "%s", err) end
  check(loop:timeout() == nil, "the loop has no rest")
  loop:close()
  if own.a then
    own.a:close(0)
    own.b:close(0)
    own.context:destroy(0)
  end
  if wrong then error(wrong, 0) end
  return failed
end

local times, faults = 0, 0
for name in pairs(operations) do
  collectgarbage() -- the collections of failed allocations call no finalizers
  for how in pairs(starts) do
    try(how, name, 1e6) -- loads what it needs
    for n = 1, MOST do
      local ok, result = pcall(try, how, name, n)
      if not ok then
        faults = faults + 1
        print(result)
      elseif result then
        times = times + 1
      end
    end
  end
end
print(("%d failed, %d wrong"):format(times, faults))
