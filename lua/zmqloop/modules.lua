--- zmqloop.modules: the modules that are loaded when they are first needed, and what that needs.
-- A program that has no descriptor left, has gone to another folder, or may not read files any more
-- could not load them then. So their source is read with the first of this library's modules, which
-- costs little, and is kept outside of Lua's memory; to compile it is what takes the time, and is
-- left until then.
local core = require("zmqloop.core")

local kept = {
  "blocked", "callbacks", "future", "locks", "message_owner", "monitor", "poll", "poller", "queues",
  "stream_tasks", "task", "trace", "waiters",
}

-- Those that programs require by name, at their start.
local others = {"green", "json", "watch"}

-- The source of the module, its file and the template that named it, by package.path; nil if it
-- comes from elsewhere, as out of an archive. `known` is the template that had the last one.
local function read(path, known)
  local templates = (known and known .. ";" or "") .. package.path
  for template in templates:gmatch("[^;]+") do
    local file_name = template:gsub("%?", (path:gsub("%%", "%%%%")))
    local source = core.read_source(file_name)
    if source then
      return source, file_name, template
    end
  end
end

-- What require() calls: compiles the source, which is forgotten then, so that a module that is
-- loaded once more comes from its file as it is by then.
local function new_loader(source, file_name)
  return function(name)
    package.preload[name] = nil
    local chunk, message = core.load_source(source, "@" .. file_name)
    if not chunk then
      error(message, 0)
    end
    return chunk(name, file_name)
  end
end

-- Reads the sources of those that nobody has loaded or provided.
local function keep()
  local folder = package.config and package.config:sub(1, 1) or "/"
  local template
  for _, short in ipairs(kept) do
    local name = "zmqloop." .. short
    if not package.loaded[name] and not package.preload[name] then
      local source, file_name
      source, file_name, template = read("zmqloop" .. folder .. short, template)
      if source then
        package.preload[name] = new_loader(source, file_name)
      end
    end
  end
end

--- Loads them all now: nothing is read or compiled later on. For a service that is to tell at its
-- start what is missing. JSON needs a library that may not be there.
local function preload()
  for _, list in ipairs({kept, others}) do
    for _, short in ipairs(list) do
      local ok, err = pcall(require, "zmqloop." .. short)
      if not ok and short ~= "json" then
        error(err, 0)
      end
    end
  end
end

return {
  kept = kept,
  others = others,
  keep = keep,
  preload = preload,
}
