-- Failing calls of the system and of libzmq: each one that the loop makes, at each place, with each
-- error it may have. Nothing accepted is lost, nothing is silent, nothing spins, and a loop that
-- cannot continue raises from start(): spec/programs/failing_calls.lua.
local helper = require("spec.helper")
local test = helper.test

local LIBRARY = helper.built("failcall.so")
local IS_EPOLL = helper.backend ~= "poll"

-- Call -> the errors that it may have; "later": for frames of a message after the first. EAGAIN is
-- only tried where libzmq itself says so by mistake, which is in a first attempt (it looks for
-- commands now and then only): from a socket that has just said that it is writable it cannot come.
local CALLS = {
  zmq_msg_init_size = {"ENOMEM"},
  zmq_msg_recv = {"EINTR", "ETERM", "ENOTSOCK"},
  zmq_msg_send = {"EINTR", "ETERM", "ENOTSOCK"},
  ["zmq_msg_send later"] = {"EINTR", "ETERM", "ENOTSOCK"},
  zmq_send = {"EINTR", "EAGAIN", "ENOMEM", "ETERM", "ENOTSOCK"},
  ["zmq_getsockopt EVENTS"] = {"EINTR", "ETERM", "ENOTSOCK"},
  ["zmq_getsockopt FD"] = {"EINVAL", "ETERM"},
  zmq_getsockopt = {"ETERM"},
  zmq_poll = {"EINTR", "ETERM", "ENOTSOCK", "EFAULT"},
  zmq_socket = {"EMFILE", "ETERM"},
  zmq_ctx_new = {"EMFILE", "ENOMEM"},
  pthread_create = {"EAGAIN"},
  pipe = {"EMFILE", "ENFILE"},
  eventfd = {"EMFILE", "ENFILE", "ENODEV", "ENOMEM"},
}

if IS_EPOLL then
  CALLS.fcntl = {"EBADF"}
  CALLS.epoll_create1 = {"EMFILE", "ENFILE", "ENOMEM"}
  -- EBADF when a handler is watched again that has waited: its descriptor was closed meanwhile.
  CALLS["epoll_ctl ADD"] = {"ENOMEM", "ENOSPC", "EPERM"}
  CALLS["epoll_ctl MOD"] = {"ENOMEM", "ENOENT", "EBADF"}
  CALLS["epoll_ctl DEL"] = {"ENOENT", "EBADF"}
  CALLS.epoll_wait = {"EINTR", "EBADF", "EINVAL"}
  CALLS.epoll_pwait2 = {"EINTR", "ENOSYS", "EPERM", "EBADF"}
else
  CALLS.ppoll = {"EINTR", "ENOMEM", "EINVAL"}
end

local PROGRAM = "spec/programs/failing_calls.lua"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

-- Our library has to come first, which the one of a sanitizer has to be told.
local function setting()
  local preload = os.getenv("LD_PRELOAD")
  return ("export LD_PRELOAD=%s ASAN_OPTIONS=\"$ASAN_OPTIONS:verify_asan_link_order=0\"; "):format(
    helper.quote(LIBRARY .. (preload and ":" .. preload or "")))
end

describe("a call that fails", function()
  after_each(helper.cleanup)

  for call, errors in pairs(CALLS) do
    for _, name in ipairs(errors) do
      it(("loses nothing, and is told: %s, %s"):format(call, name), test(function(t)
        if not LIBRARY then pending("needs the library failcall of the build") end
        local fifo = t:tmpname()
        assert(os.execute("rm -f " .. fifo .. "; mkfifo " .. fifo))
        local how = (name == "EINTR" or name == "EAGAIN") and {"once"} or {"once", "always"}
        for _, times in ipairs(how) do
          local arguments = {call, name, times, fifo}
          local output, status = t:run_child(read(PROGRAM), arguments, 60, setting())
          assert.equal(0, status, output)
          assert.matches("^%d+ runs, [1-9]%d* with a failure, 0 broken\n$", output)
        end
      end))
    end
  end
end)
