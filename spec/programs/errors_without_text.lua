-- Error objects whose text fails, is no text, or is missing.
local loop = new_loop()
local objects = {
  setmetatable({}, {__tostring = function() error("no text") end}),
  setmetatable({}, {__tostring = function() return {} end}),
  setmetatable({}, {__tostring = function() return nil end}),
  setmetatable({}, {__tostring = false}),
  {}, 5, false,
}
for i = 1, 7 do loop:add_callback(function() error(objects[i]) end) end
loop:add_callback(error, nil)
loop:call_later(0.001, print, "goes on")
loop:run()
