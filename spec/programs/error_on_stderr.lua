-- An error of a callback, on a loop without on_error().
local loop = new_loop()
local function broken() error("my message") end
loop:add_callback(broken)
loop:add_callback(function() loop:stop() end)
loop:start()
