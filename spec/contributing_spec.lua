-- The first change that CONTRIBUTING.md leads to, made in a copy of lua/: its spec fails
-- before the change and passes with it.
local helper = require("spec.helper")
local test = helper.test

local function content(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

local function write(path, text)
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
end

describe("the first change of CONTRIBUTING.md", function()
  after_each(helper.cleanup)

  local page = content("CONTRIBUTING.md")

  -- The program that the page shows as that file.
  local function shown(path)
    local marker = ("<!-- %s -->\n```lua\n"):format(path)
    local first = assert(select(2, page:find(marker, 1, true)), path .. " is not in the page") + 1
    return page:sub(first, assert(page:find("```", first, true)) - 1)
  end

  it("does what the page says", test(function(t)
    local folder = os.tmpname()
    os.remove(folder)
    t:keep({close = function() os.execute("rm -rf " .. helper.quote(folder)) end})
    assert(os.execute(("mkdir -p %s/spec && cp -r lua %s/"):format(folder, folder)))
    write(folder .. "/spec/toggle_spec.lua", shown("spec/toggle_spec.lua"))

    local version = _VERSION:gsub("Lua ", ""):gsub("%.", "_")
    local path_there = "./lua/?.lua;./lua/?/init.lua;" .. package.path
    local command = table.concat({
      "cd", folder, "&& env -u LUA_PATH_" .. version, "-u LUA_CPATH_" .. version,
      "LUA_PATH=" .. helper.quote(path_there), "LUA_CPATH=" .. helper.quote(package.cpath),
      helper.quote(helper.interpreter), helper.quote(arg[0]),
      "-o plainTerminal spec/toggle_spec.lua",
    }, " ")
    local function run()
      local output = t:keep(helper.command("sh -c " .. helper.quote(command), 60)):finish()
      return output
    end

    assert.matches("attempt to call .*toggle", run())
    local path = "lua/zmqloop/async/locks.lua"
    local before = content(path)
    local place = assert(before:find("\n--- Waits until it is set", 1, true), "Event:wait moved")
    write(folder .. "/" .. path,
      before:sub(1, place) .. shown(path) .. "\n" .. before:sub(place + 1))
    assert.matches("2 successes / 0 failures / 0 errors", run(), 1, true)
  end))
end)
