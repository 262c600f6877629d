-- An error of a callback in a sandbox without io.
rawset(_G, "io", nil)
package.loaded.io = nil
local loop = new_loop()
loop:add_callback(error, "boom")
loop:call_later(0.001, print, "goes on")
loop:run()
