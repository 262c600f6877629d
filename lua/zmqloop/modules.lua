--- zmqloop.modules: the modules that are loaded on first use.
-- Internal: programs do not require it, and it may change at any time.
-- By then the program may be out of descriptors, in another folder or without access to files. So
-- their source is read together with the first module of this library, which costs little, kept
-- outside Lua's memory, and compiled when needed.
local core = require("zmqloop.core")

local kept = {
  "async.combine", "async.failure", "async.future", "async.locks", "async.message_owner",
  "async.operation", "async.queues", "async.run_sync", "async.step", "async.stream_tasks",
  "async.task", "async.waiters", "blocked", "compat", "future", "locks", "monitor", "periodic",
  "poll", "poller", "queues", "task", "trace",
}

-- Modules that programs require by name, when they start.
local others = {"async.relay", "async.watch", "callbacks", "green", "json"}

-- Returns the source of the module, its file name and the template of package.path that led to it;
-- nil if the module comes from elsewhere, such as an archive. `known`, the last template, is tried
-- first.
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

-- The function that require() calls. The source is used once: a module that is loaded again is read
-- from its file.
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

-- Reads the source of the modules that are neither loaded nor in package.preload.
local function keep()
  local folder = package.config and package.config:sub(1, 1) or "/"
  local template
  for _, short in ipairs(kept) do
    local name = "zmqloop." .. short
    if not package.loaded[name] and not package.preload[name] then
      local source, file_name
      source, file_name, template = read(name:gsub("%.", folder), template)
      if source then
        package.preload[name] = new_loader(source, file_name)
      end
    end
  end
end

--- Loads every module now, so that nothing is read or compiled later, and a missing one shows when
-- a service starts. JSON is skipped if no library for it is installed.
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
