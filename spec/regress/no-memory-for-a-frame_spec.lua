-- A message of which a later frame could not be copied for lack of memory left its first frames in
-- the socket, in front of the next message.
local helper = require("spec.helper")
local test = helper.test

local has_prlimit = os.execute("prlimit --version >/dev/null 2>&1")
has_prlimit = has_prlimit == true or has_prlimit == 0

local PROGRAM = [==[
local zmq = zmqloop.zmq
local kind, peer_kind, how = ...
local loop, ctx = new_loop(), zmq.Context{linger = 0}
local socket, peer = ctx:socket(kind), ctx:socket(peer_kind, {rcvtimeo = 5000})
if peer_kind == "SUB" then peer:subscribe("") end
if kind == "ROUTER" then peer:set("routing_id", "peer") end
assert(socket:bind("inproc://x") and peer:connect("inproc://x"))
local sender = how == "stream" and zmqloop.ZMQStream(socket, loop) or socket

local function send(...)
  local frames = {...}
  if kind == "ROUTER" then table.insert(frames, 1, "peer") end
  return sender:send_multipart(frames)
end

local function received()
  while peer:poll(0) == 0 do loop:step(0.01) end
  return table.concat(peer:recv_multipart(), " ")
end

assert(send("a", "b"))
assert(received() == "a b") -- what is made once there is
local big = ("b"):rep(64 * 2^20)
collectgarbage()
collectgarbage()
local function field(name, from)
  local file = io.open("/proc/self/" .. from)
  local value = file:read("*a"):match(name)
  file:close()
  return tonumber(value)
end
local limit = (field("VmSize:%s+(%d+)", "status") + 40000) * 1024
local pid = field("^(%d+)", "stat")
os.execute(("prlimit --pid %d --as=%d:unlimited"):format(pid, limit))
local sent, _, name = send("header", big)
os.execute(("prlimit --pid %d --as=unlimited:unlimited"):format(pid))
print(sent, name)
big = nil
assert(send("second", "x") and received() == "second x")
assert(send("third") and received() == "third")
ctx:destroy(0)
print("whole")
]==]

describe("a message of which a later frame cannot be copied", function()
  after_each(helper.cleanup)

  for _, how in ipairs{"socket", "stream"} do
    for kind, peer_kind in pairs{PUSH = "PULL", DEALER = "DEALER", PUB = "SUB", PAIR = "PAIR",
      ROUTER = "DEALER"} do
      it(("is refused whole by a %s %s"):format(kind, how), test(function(t)
        if not has_prlimit or os.getenv("LD_PRELOAD") then
          pending("needs prlimit, and an allocator that returns NULL")
        end
        -- Memory that Lua has freed goes back to the system, and not to the copy.
        local output, status = t:run_child(PROGRAM, {kind, peer_kind, how}, nil,
          "export MALLOC_MMAP_THRESHOLD_=1048576; ")
        assert.equal("nil\tENOMEM\nwhole\n", output)
        assert.equal(0, status)
      end))
    end
  end
end)
