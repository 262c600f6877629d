local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local zmq = require("zmqloop.zmq")

describe("zmq", function()
  it("has no internal that crashes on wrong arguments", helper.test(function(t)
    local output, status = t:run_child([[
      local core = require("zmqloop.core")
      local userdata, unpack = io.stdout, table.unpack or unpack
      local loop = new_loop()
      for name, fn in pairs(core) do
        for _, list in ipairs{{}, {1, 2, 3, 4}, {"x", "y", "z"}, {{}, {}, {}, {}},
            {userdata, userdata, userdata, userdata}, {1, 2, userdata, userdata},
            {loop, 1, userdata}, {{{}}, 0}, {-1}, {2^53, 2^53}, {true, {}, "x"},
            {print, print, print}, {"", "", ""}} do
          if type(fn) == "function" and not (name == "poll_items" or name:find("^set_") or
              name == "exit" or name:find("^close")) then
            pcall(fn, unpack(list, 1, 4))
          end
        end
      end
      pcall(core.poll_items, {7}, 0)
      print("survived")
    ]])
    assert.matches("survived\n$", output)
    assert.equal(0, status)
  end))

  it("is the same module under both names", function()
    assert.equal(zmq, zmqloop.zmq)
  end)

  it("tells the version of libzmq and what it was built with", function()
    local major, minor, patch = zmq.version()
    assert.is_true(major > 4 or major == 4 and minor >= 3)
    assert.is_number(patch)
    assert.is_true(zmq.has("ipc"))
    assert.is_true(zmq.has("curve"))
    assert.is_false(zmq.has("something weird"))
  end)

  it("has libzmq's constants without their prefix", function()
    assert.equal(0, zmq.PAIR)
    assert.equal(3, zmq.REQ)
    assert.equal(4, zmq.REP)
    assert.equal(1, zmq.POLLIN)
    assert.equal(2, zmq.POLLOUT)
    assert.equal(1, zmq.DONTWAIT)
    assert.equal(2, zmq.SNDMORE)
    assert.equal(17, zmq.LINGER)
  end)
end)
