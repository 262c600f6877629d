-- Calls the functions of zmqloop.core with arguments that make no sense.
local core = require("zmqloop.core")
local userdata, unpack = io.stdout, table.unpack or unpack
local loop = new_loop()
for name, fn in pairs(core) do
  for _, list in ipairs{{}, {1, 2, 3, 4}, {"x", "y", "z"}, {{}, {}, {}, {}},
      {userdata, userdata, userdata, userdata}, {1, 2, userdata, userdata},
      {loop, 1, userdata}, {{{}}, 0}, {-1}, {2^53, 2^53}, {true, {}, "x"},
      {print, print, print}, {"", "", ""}} do
    if type(fn) == "function" and not (name == "poll_items" or name:find("^set_") or
        name == "exit" or name:find("^close")) then
      pcall(fn, unpack(list, 1, 4))
    end
  end
end
pcall(core.poll_items, {7}, 0)
print("survived")
