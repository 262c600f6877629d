-- The rockspec lists the files that CMake finds itself.
describe("the rockspec", function()
  local rockspec = {}
  local chunk
  if setfenv then -- luacheck: ignore
    chunk = assert(loadfile("zmqloop-scm-1.rockspec"))
    setfenv(chunk, rockspec) -- luacheck: ignore
  else
    chunk = assert(loadfile("zmqloop-scm-1.rockspec", "t", rockspec)) -- luacheck: ignore
  end
  chunk()

  -- The lines a command prints, as the keys of a set.
  local function lines(command)
    local set = {}
    local pipe = assert(io.popen(command))
    for line in pipe:lines() do set[line] = true end
    pipe:close()
    assert(next(set), command .. " printed nothing")
    return set
  end

  local modules = rockspec.build.modules

  it("lists the C files that CMake builds, each once", function()
    local listed = {}
    for _, path in ipairs(modules["zmqloop.core"].sources) do
      assert.is_nil(listed[path], path)
      listed[path] = true
    end
    assert.same(lines("ls csrc/core/*.c csrc/lua/*.c"), listed)
  end)

  it("lists the Lua modules under the names they are required by, and the annotations", function()
    local listed, found = {}, {}
    for name, path in pairs(modules) do
      if type(path) == "string" then listed[path] = name end
    end
    for path in pairs(lines("find lua/zmqloop -name '*.lua'")) do
      local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/", ".")
      found[path] = name:match("^(zmqloop)%.init$") or name
    end
    assert.same(found, listed)
  end)
end)

describe("the Debian package", function()
  local function content(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
  end

  local version = content("csrc/include/zmqloop.h"):match('define ZL_VERSION%s+"([%d.]+)"')

  it("has the version of the header", function()
    assert.equal(version, content("debian/changelog"):match("^zmqloop %(([%d.]+)%-%d+%)"))
  end)

  it("names the library's package by its SONAME", function()
    local soname = version:match("^%d+%.%d+")
    local control = content("debian/control")
    assert.truthy(control:find("\nPackage: libzmqloop" .. soname .. "\n", 1, true))
  end)
end)
