-- Everything that exists is documented, and everything documented exists. C functions are annotated
-- in lua/zmqloop/meta, Lua functions where they are defined.
local core = require("zmqloop.core")
local zmqloop = require("zmqloop")

local function lines_of(path)
  local lines = {}
  local file = assert(io.open(path))
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

-- Does C define it, or for LuaJIT jit.lua in its stead?
local function is_c(fn)
  local info = debug.getinfo(fn, "S")
  return info.what == "C" or info.source:find("/jit%.lua$") ~= nil
end

-- The methods of a metatable or class that C defines.
local function c_functions(class)
  local found = {}
  for name, value in pairs(class) do
    if type(value) == "function" and not name:find("^__") and is_c(value) then
      found[name] = true
    end
  end
  return found
end

-- What a file of annotations declares of a class: names, and whether each has
-- words of its own above it.
local function declared(path, class)
  local found, lines = {}, lines_of(path)
  for i, line in ipairs(lines) do
    local name = line:match("^function " .. class .. "[.:]([%w_]+)%(")
    if name then
      assert(not found[name], ("%s declares %s:%s twice"):format(path, class, name))
      found[name] = i
    end
  end
  return found, lines
end

describe("the annotations", function()
  local loop = zmqloop.IOLoop()
  local classes = {
    {file = "ioloop", name = "IOLoop", class = core.IOLoop},
    {file = "ioloop", name = "Timeout", class = getmetatable(loop:call_later(1, print)).__index},
    {file = "zmqstream", name = "ZMQStream", class = core.ZMQStream},
    {file = "zmq", name = "Context", class = core.Context},
    {file = "zmq", name = "Socket", class = core.Socket},
    {file = "frame", name = "Frame", class = core.Frame},
    {file = "frame", name = "Tracker", class = core.Tracker},
  }
  loop:close()

  for _, case in ipairs(classes) do
    local path = "lua/zmqloop/meta/" .. case.file .. ".lua"

    it("of " .. case.name .. " name each method that C defines, and no other", function()
      local names = declared(path, case.name)
      local exists = c_functions(case.class)
      for name in pairs(exists) do
        assert.is_number(names[name], ("%s:%s is not in %s"):format(case.name, name, path))
      end
      for name in pairs(names) do
        -- stream_tasks.lua, once loaded, wraps some of them
        assert.is_true(exists[name] or name:find("on_recv") and case.class[name] ~= nil,
          ("%s has %s:%s, which does not exist"):format(path, case.name, name))
      end
      assert.is_not_nil(next(exists))
    end)

    it("of " .. case.name .. " say something about each", function()
      local names, lines = declared(path, case.name)
      for name, number in pairs(names) do
        local above = lines[number - 1]
        assert.matches("^%-%-%-", above, name .. " has no annotation")
        -- all parameters are described
        for parameter in lines[number]:match("%((.*)%)"):gmatch("[%w_%.]+") do
          local described = false
          local i = number - 1
          while lines[i]:find("^%-%-%-") do
            local pattern = "^%-%-%-@param " .. parameter:gsub("%.", "%%.") .. "%??%s"
            described = described or lines[i]:find(pattern) ~= nil
            i = i - 1
          end
          assert.is_true(described, ("%s(%s) is not described"):format(name, parameter))
        end
      end
    end)
  end
end)

describe("the Lua modules", function()
  local pipe = io.popen("ls lua/zmqloop/*.lua lua/zmqloop/integrate/*.lua lua/zmqloop/async/*.lua")
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()

  for _, path in ipairs(paths) do
    -- See "LuaJIT's path" in docs/binding.md.
    it(path .. " has no loop that LuaJIT would not leave in a finalizer", function()
      for _, line in ipairs(lines_of(path)) do
        local code = line:gsub("%-%-.*", "")
        assert.is_nil(code:match("%f[%w]in%s+pairs%s*%(") or code:match("%f[%w]in%s+next%f[%W]"))
      end
    end)

    it(path .. " documents each public function", function()
      local lines = lines_of(path)
      for i, line in ipairs(lines) do
        local name = line:match("^function ([%w_]+[.:][%a][%w_]*)%(")
          or line:match("^([%u][%w_]*%.[%a][%w_]*) = function%(")
        if name then
          assert.matches("^%-%-", lines[i - 1] or "", name .. " has no comment above it")
        end
      end
      assert.is_true(#lines > 0)
    end)
  end

  it("are found", function()
    assert.is_true(#paths >= 4)
  end)
end)
