-- In a forked child libzmq fails with EINTR for ever in every call that processes the commands of a
-- socket: calls that retry on EINTR never returned.
local helper = require("spec.helper")
local test = helper.test

describe("a socket in a forked child", function()
  after_each(helper.cleanup)

  it("says that it belongs to the parent, and does not hang", test(function(t)
    if not pcall(require, "process") then pending("needs the module process of the build") end
    local output, status = t:run_child([[
      local process, zmq = require("process"), zmqloop.zmq
      local ctx = zmq.Context()
      local a = ctx:socket("PAIR", {bind = "inproc://a"})
      local b = ctx:socket("PAIR", {connect = "inproc://a"})
      local poller = zmq.Poller()
      poller:register(a, zmq.POLLIN)
      local calls = {
        send = function() return a:send("x") end,
        ["send, a part"] = function() return a:send("x", zmq.SNDMORE) end,
        send_multipart = function() return a:send_multipart{"x", "y"} end,
        recv = function() return b:recv() end,
        recv_multipart = function() return b:recv_multipart(zmq.DONTWAIT) end,
        ["poll(0)"] = function() return a:poll(0) end,
        ["poll()"] = function() return b:poll() end,
        poller = function() return poller:poll(1000) end,
        events = function() return a:get("events") end,
        bind = function() return a:bind("inproc://b") end,
        connect = function() return a:connect("inproc://b") end,
        disconnect = function() return b:disconnect("inproc://a") end,
        unbind = function() return a:unbind("inproc://a") end,
        monitor = function() return a:monitor(print) end,
        proxy = function() return zmq.proxy(a, b) end,
        socket = function() return ctx:socket("PAIR") end,
      }
      local pid = process.fork()
      if pid == 0 then
        for name, call in pairs(calls) do
          local result, _, code = call()
          if result or code ~= "ECHILD" then print(name, result, code) end
        end
        a:close()
        b:close()
        print("ends")
        process.leave(0)
      end
      assert(process.wait(pid) == 0)
      assert(a:send("x") and b:recv() == "x") -- the parent's, as before
      print("parent goes on")
    ]])
    assert.equal("ends\nparent goes on\n", output)
    assert.equal(0, status)
  end))

  it("takes no message, which could never leave", test(function(t)
    if not pcall(require, "process") then pending("needs the module process of the build") end
    if not io.open("/proc/self/status") then pending("only Linux tells that at no cost") end
    local output, status = t:run_child([[
      local process, zmq, green = require("process"), zmqloop.zmq, require("zmqloop.green")
      local loop = new_loop()
      loop:make_current()
      local ctx, green_ctx = zmq.Context(), green.Context()
      local function pair(context, name)
        local address = "inproc://" .. name
        return context:socket("PAIR", {bind = address}), context:socket("PAIR", {connect = address})
      end
      local plain, peer = pair(ctx, "plain")
      local coloured, green_peer = pair(green_ctx, "green")
      local under, stream_peer = pair(ctx, "stream")
      local stream = zmqloop.ZMQStream(under, loop)
      local function frame() return zmq.Frame("x") end
      local calls = {
        plain = function() return plain:send("x") end,
        ["plain, frame"] = function() return plain:send(frame()) end,
        ["plain, parts"] = function() return plain:send_multipart{"x", "y"} end,
        green = function() return coloured:send("x") end,
        ["green, parts"] = function() return coloured:send_multipart{"x", "y"} end,
        stream = function() return stream:send("x") end,
        ["stream, callback"] = function() return stream:send("x", print) end,
        ["stream, frame"] = function() return stream:send(frame()) end,
        ["stream, parts"] = function() return stream:send_multipart{"x", "y"} end,
      }
      local pid = process.fork()
      if pid == 0 then
        for name, call in pairs(calls) do
          local sent = 0
          for _ = 1, 200 do
            local result, _, code = call()
            if result or code ~= "ECHILD" then sent = sent + 1 end
          end
          if sent > 0 then print(name, sent) end
        end
        local own, own_peer = pair(zmq.Context(), "own")
        own:send("the child's own")
        print(own_peer:recv())
        process.leave(0)
      end
      assert(process.wait(pid) == 0)
      assert(plain:send("1") and stream:send("2") and coloured:send("3"))
      print(peer:recv(), stream_peer:recv(), green_peer:recv())
    ]])
    assert.equal("the child's own\n1\t2\t3\n", output)
    assert.equal(0, status)
  end))
end)
