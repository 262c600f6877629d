-- A hook, or a finalizer that runs at an allocation, may send in the middle of
-- another send. LuaJIT's compiled path kept the frames of every message in one
-- buffer, so the outer message went out with frames of the inner one.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local jit = rawget(_G, "jit")

local NUMBERS = {1, 2, 3, 4, 5, 8, 9} -- of frames

local function message(name, count)
  local frames = {}
  for i = 1, count do frames[i] = ("%s:%d %s"):format(name, i, (name):rep(10 * i)) end
  return frames
end

local function sender_and_peer(t)
  local bound, peer = t:pair("PAIR", "PAIR")
  return t:keep(zmqloop.ZMQStream(bound, t.loop)), peer
end

-- Calls fn at the k-th instruction of the library from here on. Returns a function that ends that,
-- and returns whether there were that many.
local function at_instruction(k, fn)
  local called = false
  debug.sethook(function()
    if not debug.getinfo(2, "S").source:find("zmqloop/", 1, true) then return end
    k = k - 1
    if k == 0 then
      called = true
      debug.sethook()
      fn()
    end
  end, "", 1)
  return function()
    debug.sethook()
    return called
  end
end

describe("a message sent while another is sent", function()
  after_each(function()
    debug.sethook()
    if jit then jit.on() end
    helper.cleanup()
  end)

  for _, count in ipairs(NUMBERS) do
    it(("leaves the %d frames of that one alone, by a hook"):format(count), helper.test(function(t)
      local outer, outer_peer = sender_and_peer(t)
      local inner, inner_peer = sender_and_peer(t)
      local mine, other = message("outer", count), message("i", count)
      local k = 0
      local called
      if jit then jit.off() end -- compiled code calls no hooks
      repeat
        k = k + 1
        local finish = at_instruction(k, function() assert(inner:send_multipart(other)) end)
        local ok = outer:send_multipart(mine)
        called = finish()
        assert.is_true(ok)
        assert.same(mine, outer_peer:recv_multipart())
        if called then assert.same(other, inner_peer:recv_multipart()) end
      until not called
    end))
  end

  it("leaves the frames of that one alone, by a finalizer", helper.test(function(t)
    local output, status = t:run_child(helper.program("sends_in_a_finalizer"))
    assert.equal("all as they were sent\n", output)
    assert.equal(0, status)
  end))
end)
