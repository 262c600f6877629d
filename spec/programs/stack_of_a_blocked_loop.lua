-- A callback that blocks the loop, first with log_stack(), then with one that overrides it.
local loop = new_loop()
local over = os.clock() + 0.3
local function work()
  loop:set_blocking_log_threshold(0.05) -- what was before does not count
  while os.clock() < over do end
end
loop:add_callback(work)
loop:run()
local logged
function loop:log_stack(signal, report)
  assert(self == loop and type(signal) == "number")
  logged = report
end
over = os.clock() + 0.3
loop:add_callback(work)
loop:run()
assert(logged:find("IOLoop blocked for", 1, true))
print("overridden")
