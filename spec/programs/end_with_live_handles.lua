-- lua_close with live handles, which are freed in any order.
-- Argument: which of four ways.
local variant = tonumber((...))
local READ = zmqloop.IOLoop.READ
local loop, ctx = new_loop(), zmqloop.zmq.Context()
local function shout(...) print("called", ...) end
local pull = zmqloop.ZMQStream(ctx:socket("PULL"), loop)
local push = zmqloop.ZMQStream(ctx:socket("PUSH"), loop)
pull:bind("inproc://live")
push:connect("inproc://live")
pull:on_recv(shout)
pull:set_close_callback(shout)
push:on_send(shout)
push:set_close_callback(shout)
for _ = 1, 10 do push:send("x") end
local pair = ctx:socket("PAIR")
loop:add_handler(pair, shout, READ)
loop:add_handler(io.popen("true"), shout, READ)
loop:call_later(0, shout)
loop:add_callback(shout)
local periodic = zmqloop.PeriodicCallback(shout, 1, loop)
periodic:start()
if variant == 1 then
  package.loaded[shout] = {loop, pull, ctx}
elseif variant == 2 then
  loop:close()
elseif variant == 3 then
  -- finalizers that use what may be gone already
  for _, object in ipairs{loop, pull, push, ctx, pair, periodic} do
    local proxy = setmetatable({}, {__gc = function()
      pcall(function() object:close() end)
      pcall(function() object:stop() end)
      pcall(function() object:send("late") end)
      pcall(function() object:add_callback(shout) end)
      pcall(function() object:socket("PULL") end)
      pcall(function() object:get("events") end)
      tostring(object)
    end})
    package.loaded[proxy] = proxy
  end
else
  ctx:shutdown()
end
os.exit(0, true)
