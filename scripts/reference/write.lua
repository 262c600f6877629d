-- Writes the pages of the reference to a folder: lua write.lua FOLDER
package.path = "./?.lua;" .. package.path
local Page = require("scripts.reference.page")
local c_page = require("scripts.reference.c_page")
local index_page = require("scripts.reference.index_page")
local model = require("scripts.reference.model").read()

local folder = assert(arg[1], "usage: write.lua FOLDER")

local function write(name, content)
  local file = assert(io.open(folder .. "/" .. name, "w"))
  assert(file:write(content))
  assert(file:close())
end

for _, file in ipairs(model.files) do
  for _, class in ipairs(file.classes) do
    if class.is_object then
      local of = model:is_module(class.name) and Page.of_module or Page.of_class
      write(class.page, of(model, class))
    end
  end
end
for _, header in ipairs(model.headers) do write(header.page, c_page.of(model, header)) end
write("index.md", index_page.of(model))
write("errors.md", index_page.of_errors(model))
