-- czmq as the peer.
-- Environment: ZMQLOOP_INTEROP_MESSAGES, the messages with PyZMQ; a tenth of them.
local helper = require("spec.helper")
local talk = require("spec.interop.talk")

local MESSAGES = math.ceil((tonumber(os.getenv("ZMQLOOP_INTEROP_MESSAGES")) or 100000) / 10)

-- The program is beside the modules for tests, if there was a libczmq.
local function find_peer()
  for template in package.cpath:gmatch("[^;]+") do
    local path = template:gsub("?", "czmq_peer"):gsub("%.so$", "")
    local file = io.open(path, "r")
    if file then
      file:close()
      return path
    end
  end
end

describe("with czmq", function()
  after_each(helper.cleanup)

  local peer = find_peer()
  if not peer then
    pending("built without libczmq (libczmq-dev)")
    return
  end

  talk.define(it, "env -u LD_PRELOAD " .. helper.quote(peer), MESSAGES)
end)
