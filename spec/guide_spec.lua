-- The README, each page of the guide and the examples of the reference are followed as a reader
-- would: files are saved, programs run, commands typed, and what they print is compared. See
-- spec/page.lua.
local helper = require("spec.helper")
local page = require("spec.page")
local testing = require("zmqloop.testing")

local test = helper.test

-- What a page needs beside zmqloop: modules, which not every Lua has, and a command.
local NEEDS = {
  ["docs/guide/other-event-sources.md"] = {modules = {"luv", "cqueues", "socket"}},
  ["docs/guide/neovim.md"] = {modules = {"jit"}, command = "nvim"}, -- Neovim's Lua is LuaJIT
}

local function succeeds(command)
  local status = os.execute(command .. " >/dev/null 2>&1")
  return status == 0 or status == true
end

-- The first thing that a page needs and the system does not have, or nil. In a process of its own:
-- luv does not stand being loaded twice, as busted makes of it.
local function missing(needs)
  for _, name in ipairs(needs.modules) do
    if not succeeds(("%s -e 'require(%q)'"):format(helper.quote(helper.interpreter), name)) then
      return name
    end
  end
  if needs.command and not succeeds("command -v " .. needs.command) then return needs.command end
end

local function paths()
  local list = {}
  local pipe = io.popen("ls docs/guide/*.md")
  for path in pipe:lines() do list[#list + 1] = path end
  pipe:close()
  return list
end

local function working_directory()
  local pipe = io.popen("pwd")
  local path = pipe:read("*l")
  pipe:close()
  return path
end

-- Shell code: the paths of modules, for programs in another folder.
local function settings()
  local here = working_directory()
  local function absolute(path)
    return (path:gsub("[^;]+", function(template)
      return template:find("^/") and template or here .. "/" .. template
    end))
  end
  local path = "./?.lua;" .. absolute(package.path)
  return helper.SANITIZER .. ("export LUA_PATH=%s LUA_CPATH=%s; "):format(helper.quote(path),
    helper.quote(absolute(package.cpath)))
end

-- Replaces each port of this machine by a free one: other runs of this spec may use it.
local function with_free_ports()
  local ports = {}
  return function(text)
    return (text:gsub("127%.0%.0%.1:(55%d%d)%f[^%d]", function(port)
      if not ports[port] then
        local listener, free = assert(testing.bind_unused_port())
        listener:close()
        ports[port] = free
      end
      return "127.0.0.1:" .. ports[port]
    end))
  end
end

describe("the guide:", function()
  after_each(helper.cleanup)

  local followed = paths()
  followed[#followed + 1] = "README.md"
  for path in io.popen("grep -l '^## Example' docs/reference/*.md"):lines() do
    followed[#followed + 1] = path
  end
  for _, path in ipairs(followed) do
    it(path .. " is as it says", test(function(t)
      local lacks = NEEDS[path] and missing(NEEDS[path])
      if lacks then pending("this system has no " .. lacks) end
      local folder = t:tmpname()
      assert(os.execute("mkdir " .. folder))
      local ok, err = pcall(page.follow, path, helper.interpreter, folder,
        {settings = settings(), replace = with_free_ports()})
      os.execute("rm -r " .. folder)
      if not ok then error(err, 0) end
    end))
  end

  it("every page has an entry in the list of pages", function()
    local file = assert(io.open("docs/guide/index.md"))
    local index = file:read("*a")
    file:close()
    for _, path in ipairs(paths()) do
      local name = path:match("[^/]+$")
      assert.truthy(name == "index.md" or index:find("(" .. name .. ")", 1, true), name)
    end
  end)
end)

describe("a page", function()
  after_each(helper.cleanup)

  local function follow(t, text, end_seconds)
    local path, folder = t:tmpname(), t:tmpname()
    local file = assert(io.open(path, "w"))
    file:write((text:gsub("'''", "```")))
    file:close()
    assert(os.execute("mkdir " .. folder))
    local ok, err = pcall(page.follow, path, helper.interpreter, folder,
      {settings = settings(), end_seconds = end_seconds})
    os.execute("rm -r " .. folder)
    return ok, err
  end

  it("is followed if everything is as it says", test(function(t)
    local ok, err = follow(t, [[
Save this as `a.lua`:

'''lua
print("one") print("two") print("three")
'''

'''console
$ lua5.4 a.lua
one
...
three
$ echo x; lua5.4 -e 'print(1)'
x
1
'''

'''lua
assert(true)
'''
]])
    assert.is_true(ok, err)
  end))

  it("fails on what a command does not print", test(function(t)
    local ok, err = follow(t, "'''console\n$ echo one\ntwo\n'''\n")
    assert.is_false(ok)
    assert.matches(":1: echo one\nexpected:\ntwo\nseen:\none", err)
  end))

  it("fails on what a program does not print", test(function(t)
    local PROGRAM = "'''lua\nfor i = 1, 2 do print(i) end\n--> 1\n--> %s\n'''\n"
    local ok, err = follow(t, PROGRAM:format("2"))
    assert.is_true(ok, err)
    ok, err = follow(t, PROGRAM:format("3"))
    assert.is_false(ok)
    assert.matches(":1: lua5.4 program.lua\nexpected:\n1\n3\nseen:\n1\n2", err)
  end))

  it("fails on a program that fails", test(function(t)
    local ok, err = follow(t, "'''lua\nerror('planned', 0)\n'''\n")
    assert.is_false(ok)
    assert.matches("planned", err)
  end))

  it("has terminals that go on running until ^C", test(function(t)
    local SERVICE = [[
Save this as `wait.lua`:

'''lua
local loop = require("zmqloop").IOLoop.instance()
io.stdout:setvbuf("line")
print("waits")
local ok, err = pcall(loop.start, loop)
print(ok, err)
'''

In one terminal:

'''console
$ lua5.4 wait.lua
waits
^C
%s
'''
]]
    local ok, err = follow(t, SERVICE:format("false\tinterrupted!"))
    assert.is_true(ok, err)
    ok, err = follow(t, SERVICE:format("true"))
    assert.is_false(ok)
    assert.matches("interrupted!", err)
  end))

  it("leaves nothing running, also what takes no notice of Ctrl-C", test(function(t)
    local path = t:tmpname()
    local ok, err = follow(t, ([[
Save this as `deaf.sh`:

'''sh
trap '' INT
echo $$ >%s
echo waits
while :; do sleep 0.1; done
'''

In one terminal:

'''console
$ sh deaf.sh
waits
'''

'''console
$ echo one
two
'''
]]):format(path), 0.2)
    assert.is_false(ok)
    assert.matches("expected:\ntwo\nseen:\none", err)
    local file = assert(io.open(path))
    local pid = file:read("*l")
    file:close()
    -- Not by ps, which hangs under AddressSanitizer's runtime.
    local gone = os.execute(([[
      for _ in $(seq 200); do
        [ -e /proc/%s ] || exit 0
        ! grep -q '^State:.Z' /proc/%s/status || exit 0
        sleep 0.05
      done
      exit 1]]):format(pid, pid))
    assert.is_true(gone == 0 or gone == true)
  end))
end)
