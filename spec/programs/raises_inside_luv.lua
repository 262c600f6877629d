-- An error that the loop raises while luv runs it.
local loop = new_loop()
require("zmqloop.integrate.luv").attach(loop)
loop:on_error("raise")
loop:add_callback(error, "told to raise", 0)
require("luv").run()
print("not reached")
