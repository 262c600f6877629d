-- The README shows programs that are run elsewhere: examples/ by scripts/demo,
-- by other specs, or by .ci/installed-tree.
describe("the README", function()
  local function content(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
  end

  local readme = content("README.md")

  it("opens with a program that is examples/echo.lua", function()
    local block = assert(readme:match("\n```lua\n(.-)```\n"))
    assert.equal(content("examples/echo.lua"), block)
  end)

  it("shows a part of examples/embed.c", function()
    local block = assert(readme:match("\n```c\n(.-)```\n"))
    assert.truthy(content("examples/embed.c"):find(block, 1, true))
  end)

  it("links to files that exist", function()
    for _, path in ipairs{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} do
      for target in content(path):gmatch("%]%(([^)#:]+)[^)]*%)") do
        local file = assert(io.open(target), path .. " links to " .. target)
        file:close()
      end
    end
  end)
end)
