-- Reads the headers of csrc/include: each group of declarations with the comment above it.
local header = {}

-- The text of a comment's lines, with its own indentation.
local function comment_text(lines)
  local text = table.concat(lines, "\n"):gsub("^/%* ?", ""):gsub("%s*%*/%s*$", "")
  text = ("\n" .. text):gsub("\n %*", "\n"):gsub("\n ", "\n"):sub(2)
  return (text:gsub("SPDX[^\n]*\n?", ""))
end

-- "Errors     int functions return" begins a definition, which goes on in indented lines.
local function definitions(text)
  local list = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do
    local term, rest = line:match("^(%u%l+)  +(.*)$")
    if term then
      list[#list + 1] = {term = term, text = rest}
    elseif #list > 0 and line:find("^   ") then
      list[#list].text = list[#list].text .. " " .. line:gsub("^ +", "")
    end
  end
  return list
end

-- The rest as paragraphs of one line each.
local function paragraphs(text)
  local list = {}
  for paragraph in (text .. "\n\n"):gmatch("(.-)\n%s*\n") do
    if paragraph:find("%S") and not paragraph:find("^%u%l+  +") then
      list[#list + 1] = (paragraph:gsub("%s*\n%s*", " "))
    end
  end
  return list
end

-- What a reader needs of some declarations: no bodies, no ZL_API.
local function shown(lines)
  local code, exported, body = {}, false, false
  for _, line in ipairs(lines) do
    if line:find("^ZL_API ") then
      exported, line = true, line:sub(8)
    elseif exported and line:find("^        ") then
      line = line:sub(8)
    end
    if line:find("^static inline") and line:find("{$") then
      line, body = line:gsub("^static inline ", ""):gsub(" {$", ";"), true
      code[#code + 1] = line
    elseif line == "}" and body then
      body = false
    elseif not body then
      code[#code + 1] = line
    end
  end
  return table.concat(code, "\n")
end

-- The names that some code declares.
local function names_in(code)
  local names = {}
  local function add(name) if name then names[#names + 1] = name end end
  local plain = code:gsub("/%*.-%*/", "")
  for name in plain:gmatch("#define ([%w_]+)") do add(name) end
  if plain:find("^enum") then
    for name in plain:gmatch("\n%s+([%w_]+)") do add(name) end
  elseif plain:find("^typedef") then
    local outside = plain:gsub("%b{}", "")
    for declaration in outside:gmatch("[^;]+;") do
      add(declaration:match("%(%*([%w_]+)%)") or declaration:match("([%w_]+);"))
    end
  else
    for declaration in plain:gmatch("[^;]+;") do
      add(declaration:match("([%w_]+)%("))
    end
  end
  return names
end

-- Lines that are there for the compiler only.
local function is_noise(line)
  return line:find("^#[eiu]") or line:find("^#define ZMQLOOP")
end

-- Splits the lines into comments, sections and groups of declarations.
local function each_item(lines, on)
  local i, group, comment = 1, {}, nil
  local function finish()
    if #group > 0 then on.group(group, comment) end
    group, comment = {}, nil
  end
  while lines[i] do
    local line = lines[i]
    local section = line:match("^/%* %-%-%-%- (.-) %-+ %*/")
    if section then
      finish()
      on.section(section)
    elseif line:find("^/%*") and #group == 0 then
      local first = i
      while not lines[i]:find("%*/") do i = i + 1 end
      comment = {}
      for k = first, i do comment[#comment + 1] = lines[k] end
      if first == 1 then
        on.head(comment)
        comment = nil
      end
    elseif line:find("^#ifdef __cplusplus") then
      while not lines[i]:find("^#endif") do i = i + 1 end
    elseif line == "#ifndef ZL_API" then
      while lines[i] ~= "#endif" or lines[i + 1] ~= "" do i = i + 1 end
    elseif line == "" then
      finish()
    elseif not is_noise(line) then
      group[#group + 1] = line
    end
    i = i + 1
  end
  finish()
end

-- A header: its name, its introduction, and its items {names, code, text, section}.
function header.read(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  local read = {name = path:match("[^/]+$"), items = {}}
  local section
  each_item(lines, {
    head = function(comment)
      local text = comment_text(comment):gsub("^[%w_]+%.h %- (%l?)", string.upper)
      read.text, read.definitions = paragraphs(text), definitions(text)
    end,
    section = function(name) section = name end,
    group = function(group, comment)
      local code = shown(group)
      local text = comment and paragraphs(comment_text(comment)) or {}
      local item = {code = code, names = names_in(code), text = text, section = section}
      if #item.names > 0 then read.items[#read.items + 1] = item end
    end,
  })
  return read
end

return header
