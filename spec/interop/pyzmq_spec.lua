-- PyZMQ as the peer.
-- Environment: ZMQLOOP_INTEROP_MESSAGES, fewer messages for a quick run.
local helper = require("spec.helper")
local talk = require("spec.interop.talk")

local MESSAGES = tonumber(os.getenv("ZMQLOOP_INTEROP_MESSAGES")) or 100000
-- The Python for which Debian has python3-zmq, without what is preloaded here.
local PYTHON = "env -u LD_PRELOAD /usr/bin/python3"

local has_pyzmq = os.execute(PYTHON .. " -c 'import zmq' >/dev/null 2>&1")
has_pyzmq = has_pyzmq == true or has_pyzmq == 0

describe("with PyZMQ", function()
  after_each(helper.cleanup)

  if not has_pyzmq then
    pending("/usr/bin/python3 has no zmq (python3-zmq)")
    return
  end

  talk.define(it, PYTHON .. " spec/interop/peer.py", MESSAGES)
end)
