--- zmqloop.class: helpers to define the classes and modules of this library.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")

-- Every module that users require by name requires this one.
core.here_is_library("class")

-- In a sandbox there may be no files to read: then require() searches for them later.
pcall(require("zmqloop.modules").keep)

-- Name -> module. Kept in the core, of which a Lua state has only one, since this file may be
-- loaded again.
core.modules = core.modules or {}
local modules = core.modules

local class = {}

--- The module registered under that name in this Lua state, or nil. A module with state of its own
-- returns it when it is loaded again, as test runners do: objects of two copies would not work
-- together.
function class.registered(name)
  return modules[name]
end

--- Registers a module under its name, and returns it.
function class.register(name, module)
  modules[name] = module
  return module
end

--- A class whose objects are created by calling it, which calls its function new(). `name` is
-- without "zmqloop."; `base`, a class, may be nil.
function class.new(name, base)
  local made = {__name = "zmqloop." .. name, __tostring = base and base.__tostring}
  made.__index = made
  return setmetatable(made, {
    __index = base,
    __call = function(self, ...) return self.new(...) end,
  })
end

--- Adds the fields named in `homes` to the object, a class or a module. Each maps to the module
-- that has the field or defines it in the object: the name of a zmqloop module, which is loaded on
-- first use of the field, or a loaded module. Most programs use only part of the library, and so
-- start faster and take less memory. pairs() sees only the fields used so far. Returns the object.
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
