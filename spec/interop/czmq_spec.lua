-- czmq as the peer.
-- Environment: ZMQLOOP_INTEROP_MESSAGES, the messages with PyZMQ; a tenth of them.
local helper = require("spec.helper")
local talk = require("spec.interop.talk")

local MESSAGES = math.ceil((tonumber(os.getenv("ZMQLOOP_INTEROP_MESSAGES")) or 100000) / 10)

describe("with czmq", function()
  after_each(helper.cleanup)

  local peer = helper.built("czmq_peer")
  if not peer then
    pending("built without libczmq (libczmq-dev)")
    return
  end

  talk.define(it, "env -u LD_PRELOAD " .. helper.quote(peer), MESSAGES)
end)
