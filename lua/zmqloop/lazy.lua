--- zmqloop.lazy: fields from modules that are loaded when one of them is first asked for.
-- Most programs use a part of what there is; they start sooner and take less memory.

-- Every module that users require by name requires this one.
require("zmqloop.core").here_is_library("lazy")

-- In a sandbox there may be no files to read: then require() looks for them later.
pcall(require("zmqloop.modules").keep)

--- Gives the object, a class or a module, the fields that `homes` names, each with the module that
-- has it or defines it in the object: the name of one of zmqloop's, or one that is loaded. pairs()
-- sees those that were asked for. Returns the object.
return function(object, homes)
  local metatable = getmetatable(object) or {}
  function metatable.__index(_, name)
    local home = homes[name]
    if home == nil then
      return nil
    end
    local module = type(home) == "string" and require("zmqloop." .. home) or home
    local value = rawget(object, name)
    if value == nil then
      value = module[name]
      object[name] = value
    end
    return value
  end
  return setmetatable(object, metatable)
end
