-- The README shows programs that are run elsewhere: examples/ by spec/examples_spec.lua,
-- scripts/demo or .ci/installed-tree.
describe("the README", function()
  local function content(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
  end

  local readme = content("README.md")

  it("shows Lua programs that are files of examples/, a service and its client first", function()
    local shown = {}
    for path, block in readme:gmatch("<!%-%- (examples/[%w_]+%.lua) %-%->\n```lua\n(.-)```\n") do
      assert.equal(content(path), block, path)
      shown[#shown + 1] = path
    end
    assert.same({"examples/echo.lua", "examples/echo_client.lua"}, shown)
    assert.equal(#shown, select(2, readme:gsub("\n```lua\n", "")))
  end)

  it("shows a part of examples/embed.c", function()
    local block = assert(readme:match("\n```c\n(.-)```\n"))
    assert.truthy(content("examples/embed.c"):find(block, 1, true))
  end)

  it("names the version", function()
    local version = content("csrc/include/zmqloop.h"):match('define ZL_VERSION%s+"([%d.]+)"')
    assert.truthy(readme:find("zmqloop " .. version, 1, true), version)
  end)

  it("and its like link to files that exist", function()
    local pages = {
      "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "docs/policies.md",
    }
    for _, path in ipairs(pages) do
      local folder = path:match("^.*/") or ""
      for target in content(path):gmatch("%]%(([^)#:]+)[^)]*%)") do
        if not target:find("^https?$") then
          local file = assert(io.open(folder .. target), path .. " links to " .. target)
          file:close()
        end
      end
    end
  end)
end)
