-- Texts with numbers, where the locale has a decimal comma.
if not os.setlocale("comma.UTF-8", "numeric") then print("no locale") os.exit(0) end
local loop = new_loop() loop:make_current()
print(select(2, pcall(loop.run_sync, loop, function() zmqloop.sleep(5) end, 0.02)))
print(zmqloop.PeriodicCallback(print, 12.5))
print(zmqloop.DelayedCallback(print, 12.5))
loop:set_blocking_log_threshold(0.02)
loop:add_callback(function()
  local till = loop:time() + 0.5
  while loop:time() < till do end
end)
loop:call_later(0, function() loop:stop() end)
loop:start()
