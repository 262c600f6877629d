-- A callback that fails, and whose text fails too.
local loop = new_loop()
loop:add_callback(setmetatable({}, {
  __call = function() error("boom") end,
  __tostring = function() error("no text") end,
}))
loop:call_later(0.001, print, "goes on")
loop:run()
