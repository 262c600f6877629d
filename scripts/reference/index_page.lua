-- The page of all modules and names, and that of the errors.
local Page = require("scripts.reference.page")
local errors = require("scripts.reference.errors")
local text = require("scripts.reference.text")

local index_page = {}

-- All entries {name, label, href}, by name.
local function entries(model)
  local list = {}
  local function add(name, label, href)
    list[#list + 1] = {name = name, label = label, href = href}
  end
  for _, file in ipairs(model.files) do
    for _, class in ipairs(file.classes) do
      local short = model:short(class.name)
      add(short:match("[%w_]+$"), short, model:href_of_class(class))
      for _, method in ipairs(class.functions) do
        add(method.name, model:heading_of(method), model:href_of_method(method))
      end
      for _, field in ipairs(class.is_object and class.fields or {}) do
        local href = model:href_of_field(class, field)
        add(field.name, short .. "." .. field.name, href)
      end
    end
  end
  table.sort(list, function(a, b)
    local x, y = a.name:lower(), b.name:lower()
    if x ~= y then return x < y end
    return a.label < b.label
  end)
  return list
end

local function add_names(page, model)
  local letter
  for _, entry in ipairs(entries(model)) do
    local first = entry.name:sub(1, 1):upper()
    if first ~= letter then
      letter = first
      if page[#page] ~= "" then page:add("") end
      page:heading(3, letter)
    end
    page:add("- %s", text.link(text.code(entry.label), entry.href))
  end
  page:add("")
end

local function add_modules(page, model)
  for _, file in ipairs(model.files) do
    local module = file.module ~= "_" and model.classes[file.module]
    if module then
      local names = {}
      for _, class in ipairs(file.classes) do
        if class.is_object and class ~= module then
          names[#names + 1] = text.link(text.code(model:short(class.name)), class.page)
        end
      end
      page:add("- %s: %s%s", text.link(text.code(module.name), module.page),
        page:markdown(text.summary(Page.introduction(module)[1])),
        #names > 0 and " " .. table.concat(names, ", ") or "")
    end
  end
  page:add("")
end

local function add_c_names(page, model)
  local names = {}
  for name in pairs(model.c_names) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    page:add("- %s", text.link(text.code(name), model.c_names[name]))
  end
  page:add("")
end

function index_page.of(model)
  local page = Page.new(model)
  page:heading(1, "Reference")
  page:paragraph("Made by `scripts/docs` from the annotations in `lua/zmqloop/meta` and from the "
    .. "headers in `csrc/include`. What a call returns on failure: [Errors by name](errors.md). "
    .. "Names of PyZMQ, Tornado, lzmq, czmq and luv: [Names of other libraries](../names.md).")
  page:heading(2, "Modules")
  add_modules(page, model)
  page:heading(2, "C headers")
  for _, header in ipairs(model.headers) do
    page:add("- %s: %s", text.link(text.code(header.name), header.page),
      text.of_c(header.text[1] or "", model))
  end
  page:add("")
  page:heading(2, "All names in Lua")
  add_names(page, model)
  page:heading(2, "All names in C")
  add_c_names(page, model)
  return page:finish()
end

-- The functions whose annotation names the error, by the error's name.
local function sources(model)
  local by_name = {}
  for _, file in ipairs(model.files) do
    for _, class in ipairs(file.classes) do
      for _, method in ipairs(class.functions) do
        local told, last = {}, method.returns[#method.returns]
        local words = method.errors or ""
        if last and last.name == "name" then words = words .. " " .. last.text end
        for name in words:gmatch("%f[%w_](%u%w+)%f[^%w_]") do
          local entry = errors.by_name[name]
          if entry and not told[entry] then
            told[entry] = true
            by_name[entry.name] = by_name[entry.name] or {}
            table.insert(by_name[entry.name], method)
          end
        end
      end
    end
  end
  return by_name
end

function index_page.of_errors(model)
  local page, by_name = Page.new(model), sources(model)
  page:heading(1, "Errors by name")
  page:paragraph("A call that fails returns `nil`, a message such as `EADDRINUSE: address already "
    .. "in use (tcp://127.0.0.1:5555)` and the name, on which a program can branch. What is a "
    .. "mistake in the program, such as an argument of the wrong type, is raised. In C a call "
    .. "returns a negative number, of which [`zl_errname()`](c-zmqloop.md#zl_errname) gives the "
    .. "name.")
  for _, entry in ipairs(errors) do
    page:heading(2, entry.name)
    page:paragraph(page:markdown(entry.meaning))
    page:paragraph("**What to do:** " .. page:markdown(entry.remedy))
    local links = {}
    for _, method in ipairs(by_name[entry.name] or {}) do
      links[#links + 1] = text.link(text.code(model:heading_of(method)),
        model:href_of_method(method))
    end
    if #links > 0 then page:paragraph("From: " .. table.concat(links, ", ")) end
  end
  return page:finish()
end

return index_page
