--- zmqloop.modules: the modules that are loaded when they are first needed, and what that needs.
-- A program that has no descriptor left, has gone to another folder, or may not read files any more
-- could not load them then. So their text is read with the first of this library's modules, which
-- costs little; to compile it is what takes the time, and is left until then.
local kept = {
  "blocked", "callbacks", "future", "locks", "message_owner", "monitor", "poll", "poller", "queues",
  "stream_tasks", "task", "trace", "waiters",
}

-- Those that programs require by name, at their start.
local others = {"green", "json", "watch"}

local load_text = rawget(_G, "loadstring") or load

-- The file of the module, by package.path; nil if it comes from elsewhere, as out of an archive.
-- `known` is the template that had the last one.
local function find(path, known)
  if known then
    local file_name = known:gsub("%?", (path:gsub("%%", "%%%%")))
    local file = io.open(file_name, "rb")
    if file then
      return file, file_name, known
    end
  end
  for template in package.path:gmatch("[^;]+") do
    local file_name = template:gsub("%?", (path:gsub("%%", "%%%%")))
    local file = io.open(file_name, "rb")
    if file then
      return file, file_name, template
    end
  end
end

-- What require() calls: compiles the text, which is forgotten then, so that a module that is loaded
-- once more comes from its file as it is by then.
local function new_loader(text, file_name)
  return function(name)
    package.preload[name] = nil
    local chunk, message = load_text(text, "@" .. file_name)
    if not chunk then
      error(message, 0)
    end
    return chunk(name, file_name)
  end
end

-- Reads the texts of those that nobody has loaded or provided.
local function keep()
  local folder = package.config and package.config:sub(1, 1) or "/"
  local template
  for _, short in ipairs(kept) do
    local name = "zmqloop." .. short
    if not package.loaded[name] and not package.preload[name] then
      local file, file_name
      file, file_name, template = find("zmqloop" .. folder .. short, template)
      local text = file and file:read("*a")
      if file then
        file:close()
      end
      if text then
        package.preload[name] = new_loader(text, file_name)
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
