-- Tasks begin, wait and are woken, with no memory for the first, second, third allocation and so
-- on. Prints which of them did not end though no callback had failed, how often memory was lacking,
-- and for how many tasks a callback that was to wake them has failed.
local faultalloc = require("faultalloc")
if rawget(_G, "jit") then jit.off() end -- which lacks memory itself
local zmqloop = require("zmqloop")

local zmq = zmqloop.zmq

local MOST = 150 -- allocations of a program

local programs = {}

function programs.sleep(arm)
  arm()
  for _ = 1, 3 do zmqloop.sleep(0.01) end
end

function programs.spawn(arm, loop)
  arm()
  loop:spawn(zmqloop.sleep, 0.01):await()
end

function programs.lock(arm)
  arm()
  local lock = zmqloop.Lock()
  for _ = 1, 3 do
    lock:acquire()
    lock:release()
  end
end

-- The first is sent before there is a peer, the others as the peer receives.
function programs.send_wait(arm, loop, a, b)
  a:set_send_hwm(1)
  a:send_wait("x", 0.001)
  b:on_recv(function() end)
  b:pause()
  loop:call_later(0.01, b.connect, b, "inproc://wakes")
  loop:call_later(0.02, b.resume, b)
  arm()
  for _ = 1, 4 do a:send_wait("x") end
end

-- Woken by a report, through more calls than the task has been begun with.
function programs.report(arm, loop, a, b)
  loop:call_later(0.01, b.connect, b, "inproc://wakes")
  arm()
  a:send_wait("x")
end

-- Returns whether memory was lacking, and whether the task waits as a callback has failed.
local function try(name, n)
  local context = zmq.Context()
  local loop = zmqloop.IOLoop{clock = "virtual"}
  local a = zmqloop.ZMQStream(context:socket("PUSH", {sndhwm = 1}), loop)
  local b = zmqloop.ZMQStream(context:socket("PULL", {rcvhwm = 1}), loop)
  assert(a:bind("inproc://wakes"))
  local errors = {}
  loop:on_error(function(_, err)
    faultalloc.off()
    errors[#errors + 1] = tostring(err)
  end)
  local task = loop:spawn(programs[name], function() faultalloc.fail_once(n) end, loop, a, b)
  for _ = 1, 100 do
    local ok, err = pcall(loop.step, loop, 0.01)
    if not ok then errors[#errors + 1] = tostring(err) end
  end
  local lacked = faultalloc.off() >= n
  local waits = not task:done()
  if waits and #errors == 0 then
    print(("%s, allocation %d: it waits for ever: %s"):format(name, n, task:traceback()))
  elseif not waits then
    local err = task:error()
    if err and not tostring(err):find("memory", 1, true) then print(name, n, err) end
  end
  loop:close()
  a:close(0)
  b:close(0)
  context:term()
  return lacked, waits and #errors > 0
end

local times, told = 0, 0
for name in pairs(programs) do
  try(name, 1e6) -- loads what it needs
  for n = 1, MOST do
    local lacked, waits = try(name, n)
    times = times + (lacked and 1 or 0)
    told = told + (waits and 1 or 0)
  end
end
print(("%d times, %d told"):format(times, told))
