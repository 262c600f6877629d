-- The length of a list with a hole may end at the hole: LuaJIT sent {"a", nil, "b"} as {"a"}.
local helper = require("spec.helper")
local test, raises = helper.test, helper.raises

-- Constructors give the list another form than assignments do.
local function lists()
  local assigned = {}
  assigned[1], assigned[3] = "a", "b"
  local far = {"a"}
  far[40] = "b"
  return {
    {2, {"a", nil, "b"}}, {2, assigned}, {2, far}, {1, {nil, "b"}},
    {3, {"a", "b", nil, nil, "c"}}, {3, {"a", "b", nil, "c", n = 4}},
  }
end

describe("a list of frames with a hole", function()
  after_each(helper.cleanup)

  for _, kind in ipairs{"socket", "stream"} do
    it("raises, and nothing of it is sent by a " .. kind, test(function(t)
      local a, b = t:pair("PAIR", "PAIR")
      local sender = kind == "stream" and require("zmqloop").ZMQStream(a, t.loop) or a
      for _, case in ipairs(lists()) do
        local text = ("bad argument #1 to 'send_multipart' (frame %d: string or Frame expected, " ..
          "got nil)"):format(case[1])
        for _ = 1, 100 do -- enough for LuaJIT to compile it
          raises(text, sender.send_multipart, sender, case[2])
        end
      end
      for _ = 1, 100 do
        assert.is_true(sender:send_multipart{"whole", "message", n = 2})
        assert.same({"whole", "message"}, b:recv_multipart())
      end
    end))
  end
end)
