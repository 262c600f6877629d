--- zmqloop.future: the name by which programs require zmqloop.async.future, together with the names
-- for tasks, which zmqloop has too.
local future = require("zmqloop.async.future")

return setmetatable({}, {
  __index = function(_, name)
    local value = future[name]
    if value == nil then
      value = require("zmqloop")[name]
    end
    return value
  end,
})
