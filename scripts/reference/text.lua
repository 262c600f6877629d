-- Text of annotations and comments as Markdown.
local errors = require("scripts.reference.errors")

local text = {}

-- Names after these are another library's.
local ABROAD = {"PyZMQ: $", "Tornado: $", "asyncio: $"}

local function is_abroad(before)
  for _, pattern in ipairs(ABROAD) do
    if before:find(pattern) then return true end
  end
  return false
end

function text.code(content)
  return "`" .. content .. "`"
end

function text.link(label, href)
  return ("[%s](%s)"):format(label, href)
end

-- Names of errors become links. CANCELLED is ECANCELED.
local function link_errors(plain)
  return (plain:gsub("%f[%w_](%u%w+)%f[^%w_]", function(name)
    local entry = errors.by_name[name]
    return entry and text.link(name, "errors.md#" .. entry.name:lower())
  end))
end

local function plain_text(plain)
  return link_errors((plain:gsub("[*<]", {["*"] = "\\*", ["<"] = "&lt;"})))
end

-- Calls on_code for each `code` of a text and on_plain for what is between, and joins the results.
local function each_span(source, on_code, on_plain)
  local parts, from = {}, 1
  while true do
    local first, last, code = source:find("`([^`]+)`", from)
    local before = source:sub(from, (first or 0) - 1)
    parts[#parts + 1] = on_plain(before)
    if not first then return table.concat(parts) end
    parts[#parts + 1] = on_code(code, before)
    from = last + 1
  end
end

-- A text, in a page about a class: what it names becomes links.
function text.markdown(source, model, class)
  return each_span(source, function(code, before)
    local href = not is_abroad(before) and model:href(code, class)
    return href and text.link(text.code(code), href) or text.code(code)
  end, plain_text)
end

-- A comment of a header: it has no marks, so names are recognized by their form.
function text.of_c(source, model)
  local function name(identifier, call)
    local href = model.c_names[identifier]
    local code = text.code(identifier .. call)
    return href and text.link(code, href) or code
  end
  return each_span(source, text.code, function(plain)
    plain = plain:gsub("[*<]", {["*"] = "\\*", ["<"] = "&lt;"})
    plain = link_errors(plain)
    return (plain:gsub("%f[%w_]([zZ][lL]_[%w_]+)(%(?%)?)", name))
  end)
end

-- The first sentence, which sums up a description.
function text.summary(source)
  return source and (source:match("^(.-%.) %u") or source:match("^(.-%.) `") or source) or ""
end

-- ---- types -------------------------------------------------------------------

-- Splits "a|fun(): b|nil" at the bars that are in no bracket.
local function split_union(of_type)
  local parts, depth, from = {}, 0, 1
  for i = 1, #of_type do
    local c = of_type:sub(i, i)
    if c:find("[%(%[{<]") then depth = depth + 1 end
    if c:find("[%)%]}>]") then depth = depth - 1 end
    if c == "|" and depth == 0 then
      parts[#parts + 1] = of_type:sub(from, i - 1)
      from = i + 1
    end
  end
  parts[#parts + 1] = of_type:sub(from)
  return parts
end

local function one_type(of_type, model)
  local class = model.classes[of_type]
  if class then return text.link(text.code(model:short(of_type)), model:href_of_class(class)) end
  return text.code((of_type:gsub("zmqloop%.[%w_.]+", function(name) return model:short(name) end)))
end

-- A type with its classes linked; without nil where that is said elsewhere.
function text.of_type(of_type, model, without_nil)
  local parts = {}
  for _, part in ipairs(split_union(of_type)) do
    local base = part:match("^([^()]+)%?$")
    if base or part ~= "nil" then parts[#parts + 1] = one_type(base or part, model) end
    if (base or part == "nil") and not without_nil then parts[#parts + 1] = "`nil`" end
  end
  return table.concat(parts, " or ")
end

return text
