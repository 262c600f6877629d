-- What the reference is about: modules, classes and headers, the page of each, and where a name
-- is found.
local annotations = require("scripts.reference.annotations")
local header = require("scripts.reference.header")

local HEADERS = {"zmqloop", "zmqloop_blocked", "zmqloop_batch", "zmqloop_lua"}

-- What programs in the text call an object of a class.
local USUAL_VARIABLES = {
  loop = "zmqloop.IOLoop", stream = "zmqloop.ZMQStream", socket = "zmqloop.Socket",
}

local model = {}
model.__index = model

-- The anchor of a heading, as code hosts and Python-Markdown make it.
function model.anchor(heading)
  return (heading:lower():gsub("[^%w_ -]", ""):gsub(" ", "-"))
end

local function paths_of_annotations()
  local paths = {}
  local pipe = assert(io.popen("LC_ALL=C ls lua/zmqloop/meta/*.lua"))
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()
  return paths
end

-- "zmqloop.green.Socket" is shown as green.Socket, a module with its whole name.
function model:short(name)
  return self:is_module(name) and name or (name:gsub("^zmqloop%.", ""))
end

function model:is_module(name)
  return self.modules[name] ~= nil
end

local function page_of_module(name)
  local rest = name:match("^zmqloop%.(.*)$")
  return (rest and "module-" .. rest:gsub("%.", "-") or name) .. ".md"
end

-- Does an annotation of the class mention a type?
local function mentions(class, name)
  local function has(text)
    return text and text:find(name, 1, true)
  end
  for _, overload in ipairs(class.overloads) do
    if has(overload) then return true end
  end
  for _, method in ipairs(class.functions) do
    for _, list in ipairs({method.params, method.returns}) do
      for _, item in ipairs(list) do
        if has(item.type) then return true end
      end
    end
  end
  return false
end

-- Options and aliases stand on the page of the first class of their file that mentions them.
local function owner_of(class)
  local last
  for _, other in ipairs(class.file.classes) do
    if other.is_object then
      if mentions(other, class.name) then return other end
      last = other
    end
  end
  return last
end

function model:place_classes()
  for _, file in ipairs(self.files) do
    for _, class in ipairs(file.classes) do
      if class.is_object then
        class.page = self:is_module(class.name) and page_of_module(class.name)
          or self:short(class.name) .. ".md"
        class.types = {}
      end
    end
    for _, class in ipairs(file.classes) do
      if not class.is_object then
        class.owner = owner_of(class)
        class.page = class.owner.page
        table.insert(class.owner.types, class)
      end
    end
  end
end

-- The address of a class or alias.
function model:href_of_class(class)
  if class.is_object then return class.page end
  return class.page .. "#" .. self.anchor(self:short(class.name))
end

function model:heading_of(method)
  return self:short(method.owner.name) .. method.kind .. method.name
end

function model:href_of_method(method)
  return method.owner.page .. "#" .. self.anchor(self:heading_of(method))
end

-- A function of a class or one of its bases.
function model:method(class, name)
  while class do
    for _, method in ipairs(class.functions) do
      if method.name == name then return method end
    end
    class = self.classes[class.base]
  end
end

function model:field(class, name)
  while class do
    for _, field in ipairs(class.fields) do
      if field.name == name then return field, class end
    end
    class = self.classes[class.base]
  end
end

-- The class that a text calls IOLoop, zmq.Socket, zmqloop.zmq or loop.
function model:class_called(name)
  return self.classes[name] or self.classes["zmqloop." .. name]
    or self.classes["zmqloop." .. name:gsub("^zmq%.", "")]
    or self.classes[USUAL_VARIABLES[name] or ""]
end

-- The address of what a text calls `name`, `Class:name` or `module.name`, in a page about a class.
function model:href(text, class)
  local name = text:gsub("%(%)$", "")
  local method = class and name:find("^[%w_]+$") and self:method(class, name)
  if method then return self:href_of_method(method) end
  local called = self:class_called(name)
  if called and not USUAL_VARIABLES[name] then return self:href_of_class(called) end
  local owner, member = name:match("^([%w_.]+)[.:]([%w_]+)$")
  local of = owner and self:class_called(owner)
  if not of then return self.c_names[name] end
  method = self:method(of, member)
  if method then return self:href_of_method(method) end
  local field, home = self:field(of, member)
  return field and self:href_of_field(home, field)
end

function model:href_of_field(class, field)
  local of_type = self.classes[field.type]
  if of_type and of_type.is_object and self:is_module(class.name) then return of_type.page end
  if not class.is_object then return self:href_of_class(class) end
  return class.page .. "#" .. (self:is_module(class.name) and "constants" or "fields")
end

function model:read_headers()
  self.headers, self.c_names = {}, {}
  for _, name in ipairs(HEADERS) do
    local read = header.read(("csrc/include/%s.h"):format(name))
    read.page = ("c-%s.md"):format(name)
    self.headers[#self.headers + 1] = read
    for _, item in ipairs(read.items) do
      item.href = read.page .. "#" .. self.anchor(table.concat(item.names, ", "))
      for _, declared in ipairs(item.names) do self.c_names[declared] = item.href end
    end
  end
end

function model.read()
  local self = setmetatable({modules = {}}, model)
  self.files, self.classes = annotations.read_all(paths_of_annotations())
  for _, file in ipairs(self.files) do
    if file.module ~= "_" then self.modules[file.module] = file end
  end
  self:place_classes()
  self:read_headers()
  return self
end

return model
