-- Reads lua/zmqloop/meta: what CONTRIBUTING.md describes under "Annotations".
local annotations = {}

local OPENS = {["("] = true, ["["] = true, ["{"] = true, ["<"] = true}
local CLOSES = {[")"] = true, ["]"] = true, ["}"] = true, [">"] = true}

-- Splits "fun(a: string): number name text" after its type, at the first space that is in no
-- bracket and follows neither ":" nor ",".
local function split_type(text)
  local depth = 0
  for i = 1, #text do
    local c = text:sub(i, i)
    if OPENS[c] then
      depth = depth + 1
    elseif CLOSES[c] then
      depth = depth - 1
    elseif c == " " and depth == 0 and not text:sub(i - 1, i - 1):find("[:,]") then
      return text:sub(1, i - 1), text:sub(i + 1)
    end
  end
  return text, ""
end

-- Splits "name? type text" of a parameter or field.
local function parse_named(text)
  local name, optional, rest = text:match("^([%w_.]+)(%??) (.*)$")
  local of_type, description = split_type(rest)
  return {name = name, optional = optional == "?", type = of_type, text = description}
end

local function parse_return(text)
  local of_type, rest = split_type(text)
  local name, description = rest:match("^([%w_.]+) ?(.*)$")
  return {type = of_type, name = name, text = description or ""}
end

local PARSERS = {
  param = {"params", parse_named},
  field = {"fields", parse_named},
  ["return"] = {"returns", parse_return},
  overload = {"overloads", function(text) return text end},
}

-- A block of `---` lines: its paragraphs, and its tags with the lines that continue them.
local function read_block(lines)
  local text, tags = {}, {}
  for _, line in ipairs(lines) do
    local tag, rest = line:match("^%-%-%-@(%w+) ?(.*)$")
    if tag then
      tags[#tags + 1] = {tag = tag, text = rest}
    elseif #tags == 0 then
      text[#text + 1] = line:sub(4)
    else
      local last = tags[#tags]
      last.text = last.text .. " " .. line:sub(4):gsub("^ ", "")
    end
  end
  return table.concat(text, "\n"), tags
end

-- Text as a list of paragraphs, each on one line.
local function paragraphs(text)
  local list = {}
  for paragraph in (text .. "\n\n"):gmatch("(.-)\n\n+") do
    if paragraph:find("%S") then list[#list + 1] = (paragraph:gsub("\n", " ")) end
  end
  return list
end

-- What a block describes: text, errors that are raised, parameters and so on.
local function parse_block(lines)
  local text, tags = read_block(lines)
  local block = {params = {}, fields = {}, returns = {}, overloads = {}}
  block.text = paragraphs(text)
  local last = block.text[#block.text]
  if last and last:find("^Errors: ") then
    block.errors = last:sub(#"Errors: " + 1)
    block.text[#block.text] = nil
  end
  for _, tag in ipairs(tags) do
    local parser = PARSERS[tag.tag]
    if parser then
      local list = block[parser[1]]
      list[#list + 1] = parser[2](tag.text)
    elseif tag.tag == "class" then
      local name, base, rest = tag.text:match("^([%w_.]+):? ?([%w_.]*) ?(.*)$")
      if tag.text:find("^[%w_.]+: ") then
        block.base = base
      else
        rest = tag.text:match("^[%w_.]+ ?(.*)$")
      end
      block.class = name
      if rest ~= "" then block.text[#block.text + 1] = rest end
    elseif tag.tag == "alias" then
      local name, of_type = tag.text:match("^([%w_.]+) ?(.*)$")
      block.alias, block.type = name, (of_type:gsub("^| ", ""))
    end
  end
  return block
end

-- One pass over the lines of a file; calls on.NAME for what it finds.
local function each_item(lines, on)
  local block = {}
  for i, line in ipairs(lines) do
    if line:find("^%-%-%-") then
      block[#block + 1] = line
    else
      local variable = line:match("^local ([%w_]+) = {}$")
      local owner, kind, name, args = line:match("^function ([%w_]+)([.:])([%w_]+)%((.*)%) end$")
      local section = line:match("^%-%- %-%-%-%- (.-) %-+$")
      if variable then
        on.object(variable, block)
      elseif owner then
        on.method(owner, kind, name, args, block)
      elseif section then
        on.section(section)
      elseif #block > 0 and not block[1]:find("^%-%-%-@meta") then
        on.other(block)
      elseif line:find("^%-%- ") or line == "--" then
        on.comment(line:sub(4), i)
      end
      block = {}
    end
  end
  if #block > 0 then on.other(block) end
end

-- A file: the module that it describes, "_" if none, the comment at its top, and its classes and
-- aliases, in order.
function annotations.read(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  local file = {module = lines[1]:match("^%-%-%-@meta ([%w_.]+)$"), classes = {}}
  local by_variable, comment, section = {}, {}, nil
  local function add(block, is_object)
    local class = parse_block(block)
    class.name = class.class or class.alias
    class.is_object, class.functions, class.file = is_object, {}, file
    file.classes[#file.classes + 1] = class
    return class
  end
  each_item(lines, {
    object = function(variable, block)
      by_variable[variable] = add(block, true)
      section = nil
    end,
    method = function(owner, kind, name, args, block)
      local method = parse_block(block)
      method.owner, method.kind, method.name, method.args = by_variable[owner], kind, name, args
      method.section = section
      table.insert(method.owner.functions, method)
    end,
    section = function(name) section = name end,
    other = function(block) add(block, false) end,
    comment = function(text)
      if #file.classes == 0 then comment[#comment + 1] = text end
    end,
  })
  file.comment = paragraphs(table.concat(comment, "\n"))
  return file
end

-- All files there, in the order of their names, and all classes and aliases by name.
function annotations.read_all(paths)
  local files, classes = {}, {}
  for _, path in ipairs(paths) do
    local file = annotations.read(path)
    files[#files + 1] = file
    for _, class in ipairs(file.classes) do
      assert(not classes[class.name], class.name .. " is annotated twice")
      classes[class.name] = class
    end
  end
  return files, classes
end

return annotations
