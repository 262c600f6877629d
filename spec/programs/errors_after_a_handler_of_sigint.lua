-- Removes a handler of SIGINT where none was before.
require("process").dispose(2, "default") -- no interpreter's handler is put back
local loop = new_loop()
loop:on_error(function(_, err) print(err) end)
loop:add_signal_handler("INT", print)
loop:add_callback(function()
  loop:remove_signal_handler("INT")
  error("an error of a callback", 0)
end)
loop:run()
print("ended")
