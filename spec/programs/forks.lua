-- A loop with one of each, in a process that forks. `in_child` says what is wrong in the child;
-- afterwards all has to work in the parent. Argument: the case.
local process = require("process")
local path = os.tmpname()
os.remove(path)
assert(os.execute("mkfifo " .. path))
local reader, writer = assert(io.open(path, "r+")), assert(io.open(path, "r+"))
os.remove(path)
reader:setvbuf("no")
writer:setvbuf("no")
local loop, ctx = new_loop(), zmqloop.zmq.Context()
loop:on_error("raise")
local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
local handled, spare = ctx:socket("PAIR"), ctx:socket("PAIR")
pull:bind("tcp://127.0.0.1:*")
push:connect((pull:get("last_endpoint")))
local received, bytes, fired = 0, 0, 0
pull:on_recv(function() received = received + 1 end)
loop:add_handler(reader, function() bytes = bytes + #reader:read(1) end, "r")
loop:add_handler(handled, function() error("nothing happens to it") end, "r")
local function all_work()
  received, bytes, fired = 0, 0, 0
  push:send("x")
  writer:write("x")
  loop:call_later(0.001, function() fired = fired + 1 end)
  local deadline = loop:time() + 10
  while received + bytes + fired < 3 and loop:time() < deadline do loop:step(0.01) end
  return received == 1 and bytes == 1 and fired == 1
end
assert(all_work(), "before the fork")

local function raises_echild(name, ...)
  local ok, err = pcall(loop[name], loop, ...)
  assert(not ok and tostring(err):find("ECHILD", 1, true), name .. ": " .. tostring(err))
end
local function answers_echild(name, ...)
  local result, _, code = loop[name](loop, ...)
  assert(result == nil and code == "ECHILD", name .. ": " .. tostring(code))
end
local function in_child()
  raises_echild("start")
  raises_echild("run")
  raises_echild("step", 0)
  answers_echild("update_handler", reader, 0)
  answers_echild("update_handler", handled, 0)
  answers_echild("add_handler", spare, print, "r")
  answers_echild("add_handler", 0, print, "r")
  loop:remove_handler(reader)
  loop:stop()
  loop:close()
  assert(loop:closed())
  pull:close()
  push:close()
end

local cases = {}

function cases.closes_in_the_child()
  local pid = process.fork()
  if pid == 0 then
    local ok, err = pcall(in_child)
    if not ok then print(err) end
    process.leave(ok and 0 or 1)
  end
  return pid
end

function cases.ends_as_programs_do()
  local pid = process.fork()
  if pid == 0 then
    os.exit(0, true)
  end
  return pid
end

function cases.loop_of_its_own()
  local pid = process.fork()
  if pid == 0 then
    local own, called = new_loop(), false
    own:call_later(0.001, function() called = true own:stop() end)
    own:start()
    process.leave(called and 0 or 1)
  end
  return pid
end

function cases.fork_in_a_callback()
  local pid
  loop:add_callback(function()
    pid = process.fork()
    if pid ~= 0 then loop:stop() end
  end)
  local ok, err = pcall(loop.start, loop)
  if pid == 0 then
    process.leave(not ok and tostring(err):find("ECHILD", 1, true) and 0 or 1)
  end
  return pid
end

local pid = cases[(...)]()
assert(process.wait(pid) == 0, "the child failed")
assert(all_work(), "after the fork")
print("ok")
