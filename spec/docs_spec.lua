-- Everything public is annotated in lua/zmqloop/meta, and everything annotated exists.
local core = require("zmqloop.core")
local zmqloop = require("zmqloop")

local function lines_of(path)
  local lines = {}
  local file = assert(io.open(path))
  for line in file:lines() do lines[#lines + 1] = line end
  file:close()
  return lines
end

-- Does the block of annotations that ends there begin with a description?
local function is_described(lines, last)
  local i = last
  while lines[i] and lines[i]:find("^%-%-%-") do i = i - 1 end
  local first = lines[i + 1]
  return first and first:find("^%-%-%-[^@ %-]") ~= nil
end

-- Reads a file of annotations: the module that it describes, or "_", and a list of classes, each
-- with the names of its functions and fields -> the numbers of their lines.
local function read_annotations(path)
  local lines = lines_of(path)
  local found = {module = lines[1]:match("^%-%-%-@meta ([%w_.]+)$"), lines = lines, classes = {}}
  assert(found.module, path .. " does not begin with ---@meta MODULE")
  local by_variable, class = {}, nil
  for i, line in ipairs(lines) do
    local name, base = line:match("^%-%-%-@class ([%w_.]+):? ?([%w_.]*)")
    if name then
      class = {name = name, base = base, functions = {}, fields = {}, line = i, path = path}
      found.classes[#found.classes + 1] = class
    end
    local field = line:match("^%-%-%-@field ([%w_]+)")
    if field then class.fields[field] = i end
    local variable = line:match("^local ([%w_]+) = {}$")
    if variable then
      by_variable[variable] = class
      class.is_object = true
    end
    local of, method = line:match("^function ([%w_]+)[.:]([%w_]+)%(")
    if of then
      local owner = assert(by_variable[of], ("%s:%d: no class %s"):format(path, i, of))
      assert(not owner.functions[method], ("%s declares %s:%s twice"):format(path, of, method))
      owner.functions[method] = i
    end
  end
  return found
end

local annotated, files = {}, {} -- class -> its annotations
do
  local pipe = io.popen("ls lua/zmqloop/meta/*.lua")
  for path in pipe:lines() do
    local file = read_annotations(path)
    files[#files + 1] = file
    file.path = path
    for _, class in ipairs(file.classes) do
      assert(not annotated[class.name], class.name .. " is annotated twice")
      annotated[class.name] = class
      class.lines = file.lines
    end
  end
  pipe:close()
end

-- The names of a class or module, those that are loaded on first use included.
local function names_of(object)
  local names = {}
  local function add(from)
    for name in pairs(from) do
      if type(name) == "string" and not name:find("^__") then names[name] = true end
    end
  end
  add(object)
  local metatable = getmetatable(object)
  local index = type(metatable) == "table" and metatable.__index
  if type(index) == "function" then
    for i = 1, 10 do
      local name, value = debug.getupvalue(index, i)
      if name == "homes" then add(value) end
    end
  end
  return names
end

-- What is there and not public, by class.
local internal = {
  ["zmqloop.Future"] = {"break_circle", "give_up", "future_class", "subscribe", "unsubscribe"},
  ["zmqloop.Task"] = {"break_circle", "give_up", "n"},
  ["zmqloop.Semaphore"] = {"take"},
  ["zmqloop.Attachment"] = {"new", "serve"},
  ["zmqloop.green.Socket"] = {
    "held_up", "place_", "rcvtimeo", "receiver", "sender", "sndtimeo", "socket_class",
  },
  ["zmqloop.testing.Test"] = {
    "check_results", "close_kept", "complain", "complain_of_open", "fail", "finish",
    "has_instance", "left_open", "let_end", "let_monitors_end", "note_failure", "note_tasks",
    "open_tasks", "report_failures", "run",
  },
}

-- Fields of objects, which their class does not have.
local of_objects = {
  ["zmqloop.ZMQStream"] = true, ["zmqloop.DelayedCallback"] = true,
  ["zmqloop.PeriodicCallback"] = true, ["zmqloop.testing.Test"] = true,
}

describe("the annotations", function()
  local loop = zmqloop.IOLoop()
  local zmq, green = zmqloop.zmq, require("zmqloop.green")
  local testing = require("zmqloop.testing")
  local listener = assert(testing.bind_unused_port())
  local context_class = {}
  for _, part in ipairs({core.Context, zmq.Context}) do
    for name, value in pairs(part) do context_class[name] = value end
  end
  local frame_class = {new = zmq.Frame.new}
  for name, value in pairs(core.Frame) do frame_class[name] = value end
  local real = {
    ["zmqloop.IOLoop"] = zmqloop.IOLoop,
    ["zmqloop.Timeout"] = getmetatable(loop:call_later(1, print)).__index,
    ["zmqloop.Pollable"] = loop:pollable() and getmetatable(loop:pollable()),
    ["zmqloop.ZMQStream"] = zmqloop.ZMQStream,
    ["zmqloop.Context"] = context_class,
    ["zmqloop.Socket"] = zmq.Socket,
    ["zmqloop.Frame"] = frame_class,
    ["zmqloop.Tracker"] = core.Tracker,
    ["zmqloop.Poller"] = zmq.Poller,
    ["zmqloop.green.Socket"] = green.Socket,
    ["zmqloop.green.Poller"] = green.Poller,
    ["zmqloop.Attachment"] = require("zmqloop.integrate.attachment"),
    ["zmqloop.Listener"] = getmetatable(listener),
    ["zmqloop.testing.Test"] = testing.Test,
  }
  listener:close()
  loop:close()
  for _, name in ipairs({
    "Future", "Task", "Event", "Condition", "Semaphore", "BoundedSemaphore", "Lock", "Queue",
    "PriorityQueue", "LifoQueue", "DelayedCallback", "PeriodicCallback", "ZMQPoller",
  }) do
    real["zmqloop." .. name] = zmqloop[name]
  end
  for _, file in ipairs(files) do
    if file.module ~= "_" then
      real[file.module] = require(file.module)
    end
  end
  real["zmqloop.green.Context"] = nil -- as zmqloop.Context

  -- The annotation of a name, of the class or one of its bases.
  local function find(class, name)
    while class do
      local line = class.functions[name] or class.fields[name]
      if line then return line end
      class = annotated[class.base]
    end
  end

  -- A libzmq with drafts has more constants.
  local function is_draft(name)
    return zmq.has("draft") and core.constants[name] ~= nil
  end

  for _, file in ipairs(files) do
    it(file.path .. " is of a module that exists, and returns it", function()
      assert.is_true(file.module == "_" or annotated[file.module] ~= nil)
      local returned = file.lines[#file.lines]:match("^return ([%w_]+)$")
      assert.equal(file.module ~= "_", returned ~= nil)
    end)
  end

  for name, class in pairs(annotated) do
    local object = real[name]

    it("of " .. name .. " name what it has, and nothing else", function()
      if class.is_object then
        assert.is_true(object ~= nil or name == "zmqloop.green.Context", "nothing real")
      end
      if not object then return end
      local not_public = {}
      for _, hidden in ipairs(internal[name] or {}) do not_public[hidden] = true end
      for found in pairs(names_of(object)) do
        assert.is_true(not_public[found] or find(class, found) ~= nil or is_draft(found),
          ("%s.%s is not annotated"):format(name, found))
        assert.is_nil(not_public[found] and (class.functions[found] or class.fields[found])
          or nil, ("%s.%s is internal and annotated"):format(name, found))
      end
      for found in pairs(class.functions) do
        assert.is_true(object[found] ~= nil, ("%s.%s does not exist"):format(name, found))
      end
      if not of_objects[name] then
        for found in pairs(class.fields) do
          assert.is_true(object[found] ~= nil or found == "PROTOCOL_ERROR_WS_UNSPECIFIED",
            ("%s.%s does not exist"):format(name, found))
        end
      end
    end)

    it("of " .. name .. " describe each function and parameter", function()
      for found, number in pairs(class.functions) do
        local lines = class.lines
        local what = ("%s.%s"):format(name, found)
        assert.is_true(is_described(lines, number - 1), what .. " has no description")
        local wanted = {}
        for parameter in lines[number]:match("%((.*)%)"):gmatch("[%w_.]+") do
          wanted[#wanted + 1] = parameter
        end
        local i = number - 1
        while lines[i]:find("^%-%-%-") do
          local parameter = lines[i]:match("^%-%-%-@param ([%w_.]+)%?? [^ ]")
          if lines[i]:find("^%-%-%-@param") then
            assert.equal(wanted[#wanted], parameter, what)
            wanted[#wanted] = nil
          end
          i = i - 1
        end
        assert.same({}, wanted, what .. " has parameters without @param")
      end
      for found, number in pairs(class.fields) do
        assert.matches("^%-%-%-@field [%w_]+%?? [^ ]", class.lines[number], name .. "." .. found)
      end
    end)
  end
end)

describe("the Lua modules", function()
  local pipe = io.popen("ls lua/zmqloop/*.lua lua/zmqloop/integrate/*.lua lua/zmqloop/async/*.lua")
  local paths = {}
  for path in pipe:lines() do paths[#paths + 1] = path end
  pipe:close()

  -- The former name of a module, and the one that programs use for another.
  local OTHER_NAMES = {["zmqloop.callbacks"] = true, ["zmqloop.task"] = true}

  for _, path in ipairs(paths) do
    it(path .. " is annotated, or says that it is internal", function()
      local name = path:gsub("^lua/", ""):gsub("%.lua$", ""):gsub("/init$", ""):gsub("/", ".")
      local says_so = lines_of(path)[2]:find("^%-%- Internal: ") ~= nil
      if not OTHER_NAMES[name] then assert.equal(annotated[name] == nil, says_so) end
    end)
  end

  for _, path in ipairs(paths) do
    -- See "LuaJIT's path" in docs/binding.md.
    it(path .. " has no loop that LuaJIT would not leave in a finalizer", function()
      for _, line in ipairs(lines_of(path)) do
        local code = line:gsub("%-%-.*", "")
        assert.is_nil(code:match("%f[%w]in%s+pairs%s*%(") or code:match("%f[%w]in%s+next%f[%W]"))
      end
    end)

    it(path .. " documents each public function", function()
      local lines = lines_of(path)
      for i, line in ipairs(lines) do
        local name = line:match("^function ([%w_]+[.:][%a][%w_]*)%(")
          or line:match("^([%u][%w_]*%.[%a][%w_]*) = function%(")
        if name then
          assert.matches("^%-%-", lines[i - 1] or "", name .. " has no comment above it")
        end
      end
      assert.is_true(#lines > 0)
    end)
  end

  it("are found", function()
    assert.is_true(#paths >= 4)
  end)
end)
