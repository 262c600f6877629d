-- Errors of the wait were ignored: the loop spun, and nothing was reported.
local helper = require("spec.helper")

describe("a wait that the system refuses", function()
  after_each(helper.cleanup)

  -- As by a library that closes all descriptors when it makes a daemon of the process.
  it("is an error of the method that runs the loop", helper.test(function(t)
    local output, status = t:run_child([[
      local null = io.open("/dev/null")
      local number = zmqloop.IOLoop.instance():split_fd(null)
      null:close()
      local loop = zmqloop.IOLoop{impl = "epoll"}
      loop:call_later(3600, function() end)
      loop:add_callback(function() loop:close_fd(number) end)
      for _, method in ipairs{"start", "step", "run"} do
        print(pcall(loop[method], loop, method == "step" and 3600 or nil))
      end
      print(loop:stats().iterations < 5)
      print(pcall(zmqloop.IOLoop.run_sync, loop, function() zmqloop.sleep(3600) end))
      loop:close()
    ]])
    local _, told = output:gsub("false\t[^\n]*EBADF: bad file descriptor\n", "")
    assert.equal(4, told, output)
    assert.matches("true\n", output)
    assert.equal(0, status)
  end))
end)
