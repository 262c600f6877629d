-- A message of which a later frame could not be copied for lack of memory left its first frames in
-- the socket, in front of the next message.
local helper = require("spec.helper")
local test = helper.test

local has_prlimit = os.execute("prlimit --version >/dev/null 2>&1")
has_prlimit = has_prlimit == true or has_prlimit == 0

local PROGRAM = helper.program("no_memory_for_a_frame")

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
