-- A send that raised half-way, for lack of memory, left the frames and the callback of its report
-- in the stream for good; a finalizer or a metamethod that closed the stream meanwhile crashed it.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")

local has_faultalloc = pcall(require, "faultalloc")

local OUT_OF_MEMORY = helper.program("reports_without_memory")

describe("the report of a message that was not sent", function()
  after_each(helper.cleanup)

  it("is not kept when memory runs out at any point", helper.test(function(t)
    if not has_faultalloc then pending("needs the module faultalloc of the build") end
    local output, status = t:run_child(OUT_OF_MEMORY)
    assert.equal(0, status, output)
    assert.truthy(output:find("\n?0\t%-1\n$"), output)
  end))

  it("does not come to a stream that the options close", helper.test(function(t)
    local stream = t:stream("PUSH")
    local options = setmetatable({}, {__index = function() stream:close() end})
    helper.raises("stream is closed", stream.send, stream, "x", options)
    stream = t:stream("PUSH")
    options = setmetatable({}, {__index = function() stream:close() end})
    helper.raises("stream is closed", stream.send, stream, zmqloop.zmq.Frame("x"), options)
  end))
end)
