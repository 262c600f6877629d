-- Closing a state waits up to a second for the threads that end its contexts. A forked child has
-- none of them, but waited for them all the same.
local helper = require("spec.helper")

describe("the end of a state in a forked child", function()
  after_each(helper.cleanup)

  -- Several times, since a busy machine may hold up any of them.
  it("does not wait for the parent's threads", helper.test(function(t)
    local output, status = t:run_child([[
      local process = require("process")
      local zmq = zmqloop.zmq
      do
        local context = zmq.Context()
        context:socket("PUSH", {connect = "tcp://127.0.0.1:1", linger = 1e6}):send("x")
      end
      collectgarbage()
      collectgarbage()
      local shortest = math.huge
      for _ = 1, 5 do
        local start = zmqloop.IOLoop.instance():time()
        local pid = process.fork()
        if pid == 0 then
          return -- the interpreter closes the state
        end
        assert(process.wait(pid) == 0)
        shortest = math.min(shortest, zmqloop.IOLoop.instance():time() - start)
      end
      print(shortest < 0.9)
    ]])
    assert.matches("true", output)
    assert.equal(0, status)
  end))

  it("waits for its own", helper.test(function(t)
    local output, status = t:run_child([[
      local process = require("process")
      local zmq = zmqloop.zmq
      local pull = zmq.Context():socket("PULL", {rcvtimeo = 10000})
      local port = pull:bind_to_random_port("tcp://127.0.0.1")
      local pid = process.fork()
      if pid == 0 then
        local context = zmq.Context()
        context:socket("PUSH", {connect = "tcp://127.0.0.1:" .. port}):send("from the child")
        context = nil
        return
      end
      print(pull:recv())
      assert(process.wait(pid) == 0)
    ]])
    assert.matches("from the child", output)
    assert.equal(0, status)
  end))
end)
