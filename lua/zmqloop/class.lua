--- zmqloop.class: what the classes and modules of this library are made with.
local core = require("zmqloop.core")

-- Every module that users require by name requires this one.
core.here_is_library("class")

-- In a sandbox there may be no files to read: then require() looks for them later.
pcall(require("zmqloop.modules").keep)

-- Name -> module, in the core, of which a Lua state has one: this file may be loaded again.
core.modules = core.modules or {}
local modules = core.modules

local class = {}

--- The module that register() was given under that name in this Lua state, or nil. A module with
-- state of its own returns it when it is loaded again, as test runners do: objects of two copies
-- would not work together.
function class.registered(name)
  return modules[name]
end

--- Registers a module under its name, and returns it.
function class.register(name, module)
  modules[name] = module
  return module
end

--- A class whose objects are made by calling it, which calls its function new(). `name` is without
-- "zmqloop."; `base`, a class, may be nil.
function class.new(name, base)
  local made = {__name = "zmqloop." .. name, __tostring = base and base.__tostring}
  made.__index = made
  return setmetatable(made, {
    __index = base,
    __call = function(self, ...) return self.new(...) end,
  })
end

--- Gives the object, a class or a module, the fields that `homes` names, each with the module that
-- has it or defines it in the object: the name of one of zmqloop's, which is loaded when the field
-- is first asked for, or one that is loaded. Most programs use a part of what there is; they start
-- sooner and take less memory. pairs() sees the fields that were asked for. Returns the object.
function class.extend(object, homes)
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

return class
