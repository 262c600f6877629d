-- The output handler that scripts/test gives to busted: totals and failures as
-- plainTerminal prints them, a line for each test with its time, and, while the
-- specs run, how far they are.
--
-- Environment: ZMQLOOP_PROGRESS is the file that progress is appended to, a line
-- for each file; with ZMQLOOP_PROGRESS_LINE, on a terminal, one line that moves and
-- begins with that text. ZMQLOOP_RUNNING is the file that says which spec file, or
-- which of its tests, began last: all that is known when busted hangs.
local busted = require("busted")
local plain = require("busted.outputHandlers.plainTerminal")

local COLUMNS = 79 -- a line that wraps could not be written over

local path = os.getenv("ZMQLOOP_PROGRESS")
local title = os.getenv("ZMQLOOP_PROGRESS_LINE")
local running = os.getenv("ZMQLOOP_RUNNING")

-- Opened anew each time: child processes are not to inherit it.
local function write_to(name, mode, text)
  local file = name and io.open(name, mode)
  if not file then return end
  file:write(text)
  file:close()
end

local function write(text) write_to(path, "a", text) end

local function count(n, what)
  return n > 0 and (", %d %s"):format(n, what) or ""
end

return function(options)
  options.deferPrint = true -- no mark for each test: nobody sees them
  local handler = plain(options)
  local times = {}
  local files, done = 0, 0
  local before -- totals and time when the file began

  local function totals()
    return {
      passed = handler.successesCount,
      failed = handler.failuresCount + handler.errorsCount,
      pending = handler.pendingsCount,
    }
  end

  local function moving_line(name)
    local now = totals()
    local text = ("%s%d/%d files, %d passed%s%s  %s"):format(title, done, files, now.passed,
      count(now.failed, "failed"), count(now.pending, "pending"), name)
    write("\r" .. text:sub(1, COLUMNS) .. "\27[K")
  end

  local function suite_start(suite)
    files = #busted.children(suite)
    return nil, true
  end

  local function file_start(file)
    before = totals()
    write_to(running, "w", file.name)
    if title then moving_line(file.name) end
    return nil, true
  end

  local function file_end(file)
    done = done + 1
    if not title then
      local now = totals()
      write(("  %-48s %d passed%s%s  (%.1f s)\n"):format(file.name, now.passed - before.passed,
        count(now.failed - before.failed, "failed"), count(now.pending - before.pending, "pending"),
        file.duration or 0))
    end
    return nil, true
  end

  local function file_of(element)
    while element.descriptor ~= "file" do element = busted.parent(element) end
    return element.name
  end

  local function title_of(test)
    return ("%s: %s"):format(file_of(test), handler.getFullName(test):gsub("%s+", " "))
  end

  local function test_start(test)
    write_to(running, "w", title_of(test))
    return nil, true
  end

  local function test_end(element, _, status)
    local ok = (status == "success" or status == "pending") and "ok" or "not ok"
    times[#times + 1] = ("%s %s (%.3f s)"):format(ok, title_of(element), element.duration or 0)
    if title then moving_line(file_of(element)) end
    return nil, true
  end

  -- Last of all is the line with the totals, which plainTerminal prints.
  local function suite_end()
    io.write(table.concat(times, "\n"), "\n")
    if title then write("\r\27[K") end
    return nil, true
  end

  busted.subscribe({"suite", "start"}, suite_start)
  busted.subscribe({"file", "start"}, file_start)
  busted.subscribe({"file", "end"}, file_end)
  busted.subscribe({"test", "start"}, test_start)
  busted.subscribe({"test", "end"}, test_end)
  busted.subscribe({"suite", "end"}, suite_end, {priority = 1})
  return handler
end
