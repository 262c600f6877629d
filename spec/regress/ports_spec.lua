-- libzmq reads the leading digits of a port, and keeps 16 bits: 99999 was bound as 34463, -1 as
-- 65535, "8080x" as 8080.
local helper = require("spec.helper")
local test, fails = helper.test, helper.fails

local BAD = {"99999", "65536", "-1", "+80", "8080x", "4294967376", "80 ", " 80", "0x50", "8.5",
  "**", "1]", ("9"):rep(40)}

describe("a port", function()
  after_each(helper.cleanup)

  for _, act in ipairs{"bind", "connect", "unbind", "disconnect"} do
    it("out of 0 to 65535 or malformed is EINVAL for " .. act, test(function(t)
      local socket = t:socket("PULL")
      for _, port in ipairs(BAD) do
        for _, start in ipairs{"tcp://127.0.0.1:", "tcp://[::1]:", "ws://127.0.0.1:"} do
          local message = fails("EINVAL", socket[act](socket, start .. port))
          assert.matches(start .. port, message, 1, true)
        end
        fails("EINVAL", socket[act](socket, "ws://127.0.0.1:" .. port .. "/path"))
        fails("EINVAL", socket[act](socket, "tcp://127.0.0.1:" .. port .. ";127.0.0.1:5555"))
        fails("EINVAL", socket[act](socket, "tcp://127.0.0.1:0;127.0.0.1:" .. port))
      end
      assert.equal("", socket:get("last_endpoint"))
    end))
  end

  it("may have zeros in front, be 0, the largest one or a wildcard", test(function(t)
    local socket = t:socket("PULL")
    assert.is_true(socket:bind("tcp://127.0.0.1:*"))
    local address, port = socket:get("last_endpoint"):match("^(.*:)(%d+)$")
    assert.is_true(socket:unbind(address .. port))
    assert.is_true(socket:connect(address .. "00000" .. port))
    assert.is_true(socket:connect(address .. "65535"))
    assert.is_true(socket:connect("tcp://127.0.0.1:0;127.0.0.1:" .. port))
    assert.is_true(socket:bind("tcp://127.0.0.1:0"))
    assert.is_true(socket:bind("tcp://*:*"))
    assert.is_true(socket:bind("tcp://*:0"))
    fails("EINVAL", socket:bind("tcp://127.0.0.1:!")) -- libzmq's own answer
    fails("EINVAL", socket:bind("tcp://127.0.0.1:"))
    fails("EINVAL", socket:bind("tcp://127.0.0.1"))
  end))

  it("of a SOCKS proxy is looked at, too", test(function(t)
    local socket = t:socket("PULL")
    assert.is_true(socket:set("socks_proxy", "127.0.0.1:1080"))
    fails("EINVAL", socket:set("socks_proxy", "127.0.0.1:99999"))
    assert.equal("127.0.0.1:1080", socket:get("socks_proxy"))
  end))
end)
