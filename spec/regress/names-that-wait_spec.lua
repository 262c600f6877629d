-- Connects to inproc names that are not bound yet: libzmq aborted the process when the name was
-- bound by a socket that cannot accept all waiting ones, and at the context's end if it had no
-- socket left to bind the name.
local helper = require("spec.helper")
local test = helper.test

describe("a name of inproc that is waited for", function()
  after_each(helper.cleanup)

  local function survives(t, case, how)
    local output, status = t:run_child(helper.program("names_that_wait"), {case, how})
    assert.equal("survived\n", output)
    assert.equal(0, status)
  end

  it("is not bound by a PAIR if a later one of several wants its routing id", test(function(t)
    survives(t, "routing_id")
  end))

  it("is known to the contexts that are borrowed in the same state", test(function(t)
    survives(t, "borrowed")
  end))

  it("is not bound after a disconnect by a socket that wants a routing id", test(function(t)
    survives(t, "disconnected")
  end))

  it("is not bound by a socket with a welcome message, if one that waited is gone", test(function(t)
    survives(t, "greeting")
  end))

  it("gets what was sent by a socket that is closed", test(function(t)
    survives(t, "closed_sender")
  end))

  for _, how in ipairs{"term", "destroy", "shutdown", "collect", "exit"} do
    it("leaves the context its end when sockets are used up: " .. how, test(function(t)
      survives(t, "used_up", how)
    end))
  end

  it("leaves one socket fewer, and the connect that has none is EMFILE", test(function(t)
    survives(t, "one_socket_fewer")
  end))
end)

describe("a context of which another one was borrowed in the same state", function()
  after_each(helper.cleanup)

  for _, method in ipairs{"term", "destroy"} do
    it("is EBUSY for " .. method .. " while that one has a socket", test(function(t)
      local zmq = require("zmqloop").zmq
      local ctx = zmq.Context()
      local borrowed = zmq.Context(ctx:handle())
      local pub = borrowed:socket("PUB")
      helper.fails("EBUSY", ctx[method](ctx))
      helper.fails("ETERM", pub:send("x"))
      pub:close()
      assert.is_true(ctx[method](ctx))
      helper.fails("EFAULT", borrowed:socket("PUB"))
      helper.fails("EFAULT", borrowed:get("io_threads"))
      helper.fails("EFAULT", borrowed:set("io_threads", 1))
      assert.is_true(borrowed:term())
      t.loop:step(0)
    end))
  end

  it("is not collected before that one", test(function()
    local zmq = require("zmqloop").zmq
    local borrowed
    helper.apart(function() borrowed = zmq.Context(zmq.Context():handle()) end)
    collectgarbage()
    collectgarbage()
    local a = borrowed:socket("PAIR", {bind = "inproc://a"})
    local b = borrowed:socket("PAIR", {connect = "inproc://a"})
    assert.is_true(a:send("x"))
    assert.equal("x", b:recv())
    borrowed:destroy(0)
  end))
end)
