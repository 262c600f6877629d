-- All modules are loaded by preload().
zmqloop.preload()
package.path, package.preload = "/nowhere/?.lua", {}
for _, name in ipairs{"green", "async.task", "async.watch", "monitor", "async.queues"} do
  assert(package.loaded["zmqloop." .. name], name)
end
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
loop:run_sync(function() zmqloop.sleep(1) end)
print("ok")
