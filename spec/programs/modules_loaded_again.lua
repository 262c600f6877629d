-- The modules are loaded a second time in the same state.
local green = require("zmqloop.green")
local loop, current = zmqloop.IOLoop.instance(), zmqloop.IOLoop{clock = "virtual"}
local ctx, green_ctx = zmqloop.zmq.Context.instance(), green.Context.instance()
local Own = setmetatable({}, {__index = zmqloop.IOLoop})
zmqloop.IOLoop.configure(Own)
current:make_current()
local front = green_ctx:socket("PULL", {bind = "inproc://front"})
for name in pairs(package.loaded) do
  if name:match("^zmqloop") then package.loaded[name] = nil end
end
local again, green_again = require("zmqloop"), require("zmqloop.green")
print(again.IOLoop.instance() == loop, again.IOLoop.current() == current)
print(again.IOLoop.configured_class() == Own)
print(again.zmq.Context.instance() == ctx, green_again.Context.instance() == green_ctx)
local back = green_again.Context.instance():socket("PUSH", {bind = "inproc://back"})
local push = ctx:socket("PUSH")
current:run_sync(function()
  local proxy = again.spawn(green_again.proxy, front, back)
  again.sleep(1)
  print(proxy:done())
  proxy:cancel()
end)
push:close()
green_ctx:destroy(0)
ctx:destroy(0)
