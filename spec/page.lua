-- Reads a page of the documentation, and follows it as a reader would. Used by spec/guide_spec.lua
-- and by scripts/follow, so it needs nothing but Lua and a POSIX shell.
--
-- In a page, a block of code whose line before ends with "`NAME`:" is a file that the reader saves.
-- A block of Lua without a name is a program, which runs by itself. A block of console has commands
-- ("$ ...") and what they print; a line "..." stands for any lines. A program without a name may
-- say what it prints by comments "--> LINE", in order. After "In one terminal" the command goes on
-- running; a line "^C" there ends it, and what follows is printed then.
local page = {}

local COMMAND_SECONDS = 60
local TERMINAL_SECONDS = 240 -- of what goes on running
local POLL_SECONDS = 0.05

local function read_lines(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

-- The commands of a block of console, each with the lines that it prints, and after ^C.
local function read_console(lines)
  local commands, current = {}, nil
  for _, line in ipairs(lines) do
    local text = line:match("^%$ (.*)$")
    if text then
      current = {text = text, prints = {}}
      commands[#commands + 1] = current
    elseif line == "^C" then
      current.after_interrupt = {}
    else
      local list = current.after_interrupt or current.prints
      list[#list + 1] = line
    end
  end
  return commands
end

-- What a program says that it prints, or any lines if it says nothing.
local function read_prints(lines)
  local prints = {}
  for _, line in ipairs(lines) do prints[#prints + 1] = line:match("%-%-> (.*)$") end
  return #prints > 0 and prints or {"..."}
end

local function new_step(language, before, lines, first)
  local step = {line = first}
  if language == "console" then
    step.commands = read_console(lines)
    step.keeps_running = before:find("In one terminal", 1, true) ~= nil
  else
    step.text = table.concat(lines, "\n") .. "\n"
    step.file = before:match("`([^`/]+)`:$")
    step.runs = language == "lua" and not step.file
    step.prints = read_prints(lines)
  end
  return step
end

--- The steps of a page, in order: files to save, programs, and commands.
function page.read(path)
  local steps, before, block, language, first = {}, "", nil, nil, nil
  for number, line in ipairs(read_lines(path)) do
    local fence = line:match("^```(.*)$")
    if block and fence then
      if language ~= "text" then
        steps[#steps + 1] = new_step(language, before, block, first)
      end
      block, before = nil, ""
    elseif block then
      block[#block + 1] = line
    elseif fence then
      block, language, first = {}, fence, number
    elseif line:find("%S") and not line:find("^<!%-%-") then
      before = line
    end
  end
  return steps
end

-- ---- commands ----------------------------------------------------------------------------------

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function read_file(path)
  local file = io.open(path)
  if not file then return "" end
  local text = file:read("*a")
  file:close()
  return text
end

local function split(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
  while lines[#lines] == "" do lines[#lines] = nil end
  return lines
end

-- Do the lines from `i` on match the expected ones from `k` on? "..." stands for any.
local function matches(lines, expected, i, k)
  if k > #expected then return i > #lines end
  if expected[k] == "..." then
    for skipped = i, #lines + 1 do
      if matches(lines, expected, skipped, k + 1) then return true end
    end
    return false
  end
  return lines[i] == expected[k] and matches(lines, expected, i + 1, k + 1)
end

local Walk = {}
Walk.__index = Walk

function Walk:fail(step, command, expected, seen)
  error(("%s:%d: %s\nexpected:\n%s\nseen:\n%s"):format(self.path, step.line, command.text,
    table.concat(expected, "\n"), seen), 0)
end

-- `lua5.4` in a page is the interpreter that the follower was given.
function Walk:shell(text)
  return ("cd %s || exit; %s%s"):format(quote(self.folder), self.settings,
    (" " .. text .. " "):gsub("([ ;&(])lua5%.4 ", function(before)
      return before .. quote(self.lua) .. " "
    end))
end

function Walk:run(step, command)
  local out = self.folder .. "/.out"
  local status = os.execute(("timeout -s KILL %d sh -c %s >%s 2>&1 </dev/null"):format(
    COMMAND_SECONDS, quote(self:shell(command.text)), quote(out)))
  local seen = read_file(out)
  if not matches(split(seen), command.prints, 1, 1) then
    self:fail(step, command, command.prints, seen)
  end
  return status == 0 or status == true, seen
end

-- Returns whether condition() held in time.
local function wait_until(condition, seconds)
  for _ = 1, (seconds or COMMAND_SECONDS) / POLL_SECONDS do
    if condition() then return true end
    os.execute("sleep " .. POLL_SECONDS)
  end
  return condition()
end

-- Starts a command that goes on running, and waits until it has printed what it prints.
function Walk:open_terminal(step, command)
  local out = ("%s/.terminal-%d"):format(self.folder, #self.terminals + 1)
  os.execute(("(timeout %d sh -c %s >%s 2>&1 </dev/null & echo $! >%s.pid; wait; echo >%s.end) &")
    :format(TERMINAL_SECONDS, quote(self:shell("exec " .. command.text)), quote(out), quote(out),
      quote(out)))
  self.terminals[#self.terminals + 1] = {out = out, command = command, step = step}
  local printed = wait_until(function()
    return matches(split(read_file(out)), command.prints, 1, 1)
  end)
  if not printed then self:fail(step, command, command.prints, read_file(out)) end
end

-- Presses Ctrl-C, and waits for the end. `timeout` leads a group of processes, in which is all that
-- the command started.
local function close_terminal(terminal, seconds)
  local function has(suffix) return read_file(terminal.out .. suffix) ~= "" end
  wait_until(function() return has(".pid") end)
  local pid = read_file(terminal.out .. ".pid")
  os.execute("kill -INT " .. pid:match("%d+") .. " 2>/dev/null")
  if not wait_until(function() return has(".end") end, seconds) then
    os.execute("kill -s KILL -- -" .. pid:match("%d+") .. " 2>/dev/null")
    wait_until(function() return has(".end") end)
  end
end

-- What it printed after Ctrl-C, if the page tells.
function Walk:check_end(terminal)
  local command = terminal.command
  local expected = {}
  for _, line in ipairs(command.prints) do expected[#expected + 1] = line end
  for _, line in ipairs(command.after_interrupt or {"..."}) do expected[#expected + 1] = line end
  local seen = read_file(terminal.out)
  if not matches(split(seen), expected, 1, 1) then
    self:fail(terminal.step, command, expected, seen)
  end
end

function Walk:save(name, text)
  local file = assert(io.open(self.folder .. "/" .. name, "w"))
  file:write(text)
  file:close()
end

function Walk:step(step)
  if step.commands then
    for _, command in ipairs(step.commands) do
      if step.keeps_running then
        self:open_terminal(step, command)
      else
        self:run(step, command)
      end
    end
  elseif step.runs then
    self:save("program.lua", step.text)
    local ok, seen = self:run(step, {text = "lua5.4 program.lua", prints = step.prints})
    if not ok then
      error(("%s:%d: the program has failed:\n%s"):format(self.path, step.line, seen), 0)
    end
  elseif step.file then
    self:save(step.file, step.text)
  end
end

-- Replaces what stands in the files, in the commands and in what they print.
local function replace_in(steps, replace)
  local function replace_all(lines)
    for i, line in ipairs(lines or {}) do lines[i] = replace(line) end
  end
  for _, step in ipairs(steps) do
    step.text = step.text and replace(step.text)
    for _, command in ipairs(step.commands or {}) do
      command.text = replace(command.text)
      replace_all(command.prints)
      replace_all(command.after_interrupt)
    end
  end
end

--- Follows the page in an empty folder, with this interpreter in place of lua5.4. Raises what is
--- not as the page says. Nothing goes on running. More options:
---   settings     shell code before each command, such as the paths of modules
---   replace      applied to every text, for example to use other ports
---   end_seconds  what does not end at Ctrl-C within these is killed
function page.follow(path, lua, folder, options)
  options = options or {}
  local walk = setmetatable({path = path, lua = lua, folder = folder,
    settings = options.settings or "", terminals = {}}, Walk)
  local ok, err = pcall(function()
    local steps = page.read(path)
    if options.replace then replace_in(steps, options.replace) end
    for _, step in ipairs(steps) do walk:step(step) end
  end)
  for i = #walk.terminals, 1, -1 do close_terminal(walk.terminals[i], options.end_seconds) end
  if not ok then error(err, 0) end
  for _, terminal in ipairs(walk.terminals) do walk:check_end(terminal) end
end

return page
