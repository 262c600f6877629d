-- A sandbox may have no debug library: tasks work without it.
local helper = require("spec.helper")

describe("without the debug library", function()
  after_each(helper.cleanup)

  it("tasks wait, fail, and tell what they are", helper.test(function(t)
    local path = t:tmpname()
    local source = ([[
      local loop = new_loop()
      loop:make_current()
      print(pcall(loop.run_sync, loop, function() zmqloop.sleep(0.001) error("three", 0) end, 10))
      print(loop:run_sync(function()
        local task = loop:spawn(function() zmqloop.sleep(0.001) return "four" end)
        return tostring(task), task:traceback(), task:await()
      end, 10))
      print(pcall(zmqloop.sleep, 1))
      io.stderr = assert(io.open(%q, "w"))
      loop:log_stack()
    ]]):format(path)
    local output, status = t:run_child("debug = nil package.loaded.debug = nil " .. source)
    assert.matches("^false\tthree\nTask %(pending%) of %S+:5\t\tfour\n"
      .. "false\t%S+:8: sleep: only inside a task; start it with loop:spawn%(%)\n$", output)
    assert.equal(0, status)
    t.files[#t.files + 1] = path
  end))
end)
