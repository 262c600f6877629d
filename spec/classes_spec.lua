-- The file of a class begins with a list of all of its methods, with the files that define them:
-- those written in C, those that other modules add, and its own.
local core = require("zmqloop.core")
local zmqloop = require("zmqloop")
local ioloop = require("zmqloop.ioloop")

local classes = {
  {"ioloop", "IOLoop", core.IOLoop},
  {"zmqstream", "ZMQStream", core.ZMQStream},
  {"socket", "Socket", core.Socket},
  {"context", "Context", core.Context},
  {"poll", "Poller", zmqloop.zmq.Poller},
  {"poller", "ZMQPoller", ioloop.ZMQPoller},
  {"periodic", "PeriodicCallback", ioloop.PeriodicCallback},
  {"periodic", "DelayedCallback", ioloop.DelayedCallback},
}

local function content_of(path)
  local file = assert(io.open(path))
  local content = file:read("*a")
  file:close()
  return content
end

-- Method -> the file that is listed for it.
local function listed(path, class)
  local found, is_list, home = {}, false, nil
  for line in content_of(path):gmatch("[^\n]+") do
    if line == ("-- The methods of %s, and the files that define them:"):format(class) then
      is_list = true
    elseif is_list and line:find("^%-%-    ?") then
      local file, names = line:match("^%-%-   (%S*)%s+(.*)$")
      home = file == "" and home or file
      for name in names:gmatch("%S+") do
        assert(not found[name], ("%s lists %s:%s twice"):format(path, class, name))
        found[name] = home
      end
    else
      is_list = false
    end
  end
  return found
end

-- The methods that the class has once everything is loaded.
local function methods_of(class)
  local found = {}
  for name, value in pairs(class) do
    if type(value) == "function" and not name:find("^__") then found[name] = value end
  end
  return found
end

-- Whether the file defines the method. jit.lua and stream_tasks.lua put functions of their own in
-- the place of some of C's.
local function is_defined_in(home, path, class, name, fn)
  local source = debug.getinfo(fn, "S").source
  if home:find("%.c$") then
    local replaced = source:find("/jit%.lua$") or source:find("/stream_tasks%.lua$")
    return (source == "=[C]" or replaced) and content_of(home):find('"' .. name .. '"', 1, true)
  elseif home == "here" then
    local is_alias = content_of(path):find(("\n%s.%s = "):format(class, name), 1, true)
    return is_alias or source:sub(-#path) == path
  end
  local file = "lua/zmqloop/" .. home
  return source:sub(-#file) == file
end

describe("the list at the head of the file of", function()
  setup(zmqloop.preload)

  for _, case in ipairs(classes) do
    local path, name, class = ("lua/zmqloop/%s.lua"):format(case[1]), case[2], case[3]

    it(name .. " has each method of the class, and no other", function()
      local names, methods = listed(path, name), methods_of(class)
      assert.is_not_nil(next(names), path .. " has no list")
      for method in pairs(methods) do
        assert.is_string(names[method], ("%s:%s is not listed"):format(name, method))
      end
      for method in pairs(names) do
        assert.is_function(methods[method], ("%s:%s is listed"):format(name, method))
      end
    end)

    it(name .. " says where each method is defined", function()
      local methods = methods_of(class)
      for method, home in pairs(listed(path, name)) do
        assert.is_truthy(is_defined_in(home, path, name, method, methods[method]),
          ("%s:%s is not defined in %s"):format(name, method, home))
      end
    end)
  end
end)
