-- While a handler waits its descriptor is out of the poller. A failure to put it back was not
-- reported: the handler was never called again.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local test = helper.test

describe("a handler whose descriptor cannot be watched when it returns", function()
  after_each(helper.cleanup)

  -- epoll watches no such file as /dev/null is; poll() takes any.
  it("has an error, and can be had back by update_handler()", test(function(t)
    local loop = t:keep(zmqloop.IOLoop{impl = "epoll"})
    local path, seen, calls = t:tmpname(), {}, 0
    os.remove(path)
    assert(os.execute("mkfifo " .. path))
    local fifo = assert(io.open(path, "r+"))
    fifo:setvbuf("no")
    fifo:write("x")
    local number = loop:split_fd(fifo)
    loop:on_error(function(_, err) seen[#seen + 1] = err end)
    loop:add_handler(number, function()
      calls = calls + 1
      if calls == 1 then zmqloop.sleep(0) end
    end, "r")
    while calls == 0 do loop:step(1) end
    fifo:close()
    local null = assert(io.open("/dev/null"))
    assert.equal(number, (loop:split_fd(null)))
    for _ = 1, 5 do loop:step(0) end
    assert.equal(1, #seen)
    assert.matches("EPERM: .*descriptor " .. number .. " is not watched any more", seen[1])
    helper.fails("EPERM", loop:update_handler(number, "r"))
    null:close()
    local again = assert(io.open(path, "r+"))
    assert.equal(number, (loop:split_fd(again)))
    again:setvbuf("no")
    again:write("x")
    assert.is_true(loop:update_handler(number, "r"))
    loop:step(1)
    assert.equal(2, calls)
    loop:remove_handler(number)
    again:close()
    os.remove(path)
  end))
end)
