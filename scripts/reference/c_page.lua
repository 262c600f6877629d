-- Pages of the C headers.
local Page = require("scripts.reference.page")
local text = require("scripts.reference.text")

local c_page = {}

local function add_item(page, item, model)
  page:heading(3, table.concat(item.names, ", "))
  page:code("c", item.code)
  for _, paragraph in ipairs(item.text) do page:paragraph(text.of_c(paragraph, model)) end
end

function c_page.of(model, header)
  local page = Page.new(model)
  page:heading(1, header.name)
  for _, paragraph in ipairs(header.text) do page:paragraph(text.of_c(paragraph, model)) end
  for _, definition in ipairs(header.definitions) do
    page:add("- **%s:** %s", definition.term, text.of_c(definition.text, model))
  end
  page:add("")
  local section
  for _, item in ipairs(header.items) do
    if item.section ~= section then
      section = item.section
      page:heading(2, section:sub(1, 1):upper() .. section:sub(2))
    end
    add_item(page, item, model)
  end
  return page:finish()
end

return c_page
