-- Pages of modules and classes.
local text = require("scripts.reference.text")
local examples = require("scripts.reference.examples")

local Page = {}
Page.__index = Page

function Page:add(line, ...)
  self[#self + 1] = select("#", ...) > 0 and line:format(...) or line
end

-- A paragraph.
function Page:paragraph(source)
  self:add(source)
  self:add("")
end

function Page:markdown(source)
  return text.markdown(source, self.model, self.class)
end

function Page:paragraphs(list)
  for _, source in ipairs(list) do self:paragraph(self:markdown(source)) end
end

function Page:heading(level, title)
  self:paragraph(("#"):rep(level) .. " " .. title)
end

function Page:code(language, code)
  self:add("```" .. language)
  self:add((code:gsub("\n$", "")))
  self:paragraph("```")
end

local function new_page(model, class)
  return setmetatable({model = model, class = class}, Page)
end

-- ---- functions -----------------------------------------------------------------

-- "Class:name(a, [b], ...)": what is in brackets may be left out.
local function signature(model, method)
  local args = {}
  for _, param in ipairs(method.params) do
    args[#args + 1] = param.optional and "[" .. param.name .. "]" or param.name
  end
  return ("%s(%s)"):format(model:heading_of(method), table.concat(args, ", "))
end

function Page:params(method)
  if #method.params == 0 then return end
  self:paragraph("Parameters:")
  for _, param in ipairs(method.params) do
    local of_type = text.of_type(param.type, self.model, param.optional)
    local description = param.text ~= "" and ": " .. self:markdown(param.text) or ""
    self:add("- `%s` (%s%s)%s", param.name, of_type, param.optional and ", optional" or "",
      description)
  end
  self:add("")
end

-- Do the results end with `message, name` of a failure?
local function tells_failure(returns)
  local name, message = returns[#returns], returns[#returns - 1]
  return #returns >= 2 and name.name == "name"
    and (message.name == "message" or message.name == "text")
end

function Page:result(result, can_fail)
  local description = result.text
  if can_fail then
    description = description:gsub("^nil on failure$", ""):gsub("; nil on failure$", "")
      :gsub("nil on failure; ", "")
  end
  local name = result.name and result.name ~= "..." and text.code(result.name) .. " " or ""
  local of_type = text.of_type(result.type, self.model, can_fail)
  if of_type == "" then return end
  if name ~= "" then of_type = "(" .. of_type .. ")" end
  if result.name == "..." then of_type = "any number of values" end
  self:add("- %s%s%s", name, of_type,
    description ~= "" and ": " .. self:markdown(description) or "")
end

function Page:returns(method)
  local returns = method.returns
  if #returns == 0 then return end
  local can_fail = tells_failure(returns)
  self:paragraph("Returns:")
  for i = 1, #returns - (can_fail and 2 or 0) do self:result(returns[i], can_fail) end
  if can_fail then
    local names = returns[#returns].text
    self:add("- on failure `nil`, a message and a name%s",
      names ~= "" and ": " .. self:markdown(names) or "")
  end
  self:add("")
end

function Page:method(method)
  self:heading(3, self.model:heading_of(method))
  self:code("text", signature(self.model, method))
  self:paragraphs(method.text)
  self:params(method)
  self:returns(method)
  if method.errors then self:paragraph("Raises: " .. self:markdown(method.errors)) end
end

-- ---- what a class has --------------------------------------------------------------

local function capitalized(title)
  return (title:gsub("^%l", string.upper))
end

-- The functions in groups, as sections of the annotations divide them.
local function sections(class, default)
  local list, by_title = {}, {}
  for _, method in ipairs(class.functions) do
    local title = capitalized(method.section or default)
    if not by_title[title] then
      by_title[title] = {title = title}
      list[#list + 1] = by_title[title]
    end
    table.insert(by_title[title], method)
  end
  return list
end

-- A line for each function, before the details.
function Page:overview(groups)
  for _, group in ipairs(groups) do
    self:paragraph("**" .. group.title .. "**")
    for _, method in ipairs(group) do
      self:add("- [`%s`](#%s): %s", method.name, self.model.anchor(self.model:heading_of(method)),
        self:markdown(text.summary(method.text[1])))
    end
    self:add("")
  end
end

-- Links to what its bases have.
function Page:inherited()
  local class = self.model.classes[self.class.base]
  while class do
    local names = {}
    for _, method in ipairs(class.functions) do
      if self.model:method(self.class, method.name) == method then
        names[#names + 1] = text.link(text.code(method.name), self.model:href_of_method(method))
      end
    end
    if #names > 0 then
      self:paragraph(("From %s: %s."):format(
        text.link(text.code(self.model:short(class.name)), class.page), table.concat(names, ", ")))
    end
    class = self.model.classes[class.base]
  end
end

function Page:functions(default)
  local groups = sections(self.class, default)
  if #self.class.functions > 3 then self:overview(groups) end
  self:inherited()
  for _, group in ipairs(groups) do
    self:heading(2, group.title)
    for _, method in ipairs(group) do self:method(method) end
  end
end

function Page:field_list(fields)
  for _, field in ipairs(fields) do
    self:add("- `%s` (%s%s): %s", field.name,
      text.of_type(field.type, self.model, field.optional),
      field.optional and ", optional" or "", self:markdown(field.text))
  end
  self:add("")
end

function Page:types()
  if #self.class.types == 0 then return end
  self:heading(2, "Types")
  for _, of_type in ipairs(self.class.types) do
    self:heading(3, self.model:short(of_type.name))
    self:paragraphs(of_type.text)
    if of_type.type then
      self:paragraph("One of: " .. text.of_type(of_type.type, self.model))
    end
    self:field_list(of_type.fields)
  end
end

-- The program of examples/reference with the name of the page.
function Page:example()
  local name = self.class.page:gsub("%.md$", "")
  local program = examples.read(name)
  if not program then return end
  self:heading(2, "Example")
  self:code("lua", program)
  self:paragraph("A comment `-->` is what the line prints.")
end

-- ---- pages -----------------------------------------------------------------------

-- The modules that have the class, and its name there.
local function homes(model, class)
  local list = {}
  for _, file in ipairs(model.files) do
    local module = model.classes[file.module]
    for _, field in ipairs(module and module.fields or {}) do
      if field.type == class.name then
        list[#list + 1] = text.link(text.code(module.name .. "." .. field.name), module.page)
      end
    end
  end
  return list
end

local function finish(page)
  while page[#page] == "" do page[#page] = nil end
  return table.concat(page, "\n") .. "\n"
end

function Page.of_class(model, class)
  local page = new_page(model, class)
  page:heading(1, model:short(class.name))
  local found = homes(model, class)
  if #found > 0 then page:paragraph("Found as " .. table.concat(found, ", ") .. ".") end
  page:paragraphs(class.text)
  if #class.fields > 0 then
    page:heading(2, "Fields")
    page:field_list(class.fields)
  end
  page:example()
  page:functions("methods")
  page:types()
  return finish(page)
end

-- The fields of a module: its classes, and constants by what they are.
local function sort_fields(model, class)
  local classes, kinds, by_text = {}, {}, {}
  for _, field in ipairs(class.fields) do
    local of_type = model.classes[field.type]
    if of_type and of_type.is_object then
      classes[#classes + 1] = field
    else
      if not by_text[field.text] then
        by_text[field.text] = {text = field.text}
        kinds[#kinds + 1] = by_text[field.text]
      end
      table.insert(by_text[field.text], text.code(field.name))
    end
  end
  return classes, kinds
end

function Page:module_classes(classes)
  if #classes == 0 then return end
  self:heading(2, "Classes and modules")
  for _, field in ipairs(classes) do
    self:add("- %s: %s", text.link(text.code(field.name), self.model.classes[field.type].page),
      self:markdown(field.text))
  end
  self:add("")
end

function Page:constants(kinds)
  if #kinds == 0 then return end
  self:heading(2, "Constants")
  for _, kind in ipairs(kinds) do
    self:add("- %s: %s", self:markdown(kind.text), table.concat(kind, ", "))
  end
  self:add("")
end

-- What a module is for: the comment at the top of its file, else the text of its class.
function Page.introduction(class)
  return #class.file.comment > 0 and class.file.comment or class.text
end

function Page.of_module(model, class)
  local page = new_page(model, class)
  page:heading(1, class.name)
  page:code("lua", ('local %s = require("%s")'):format(class.name:match("%w+$"), class.name))
  page:paragraphs(Page.introduction(class))
  page:example()
  local classes, kinds = sort_fields(model, class)
  page:module_classes(classes)
  page:functions("functions")
  page:constants(kinds)
  page:types()
  return finish(page)
end

Page.new, Page.finish = new_page, finish

return Page
