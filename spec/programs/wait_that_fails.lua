-- Closes the descriptor that the loop waits on, inside a callback.
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
