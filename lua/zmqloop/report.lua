--- zmqloop.report: writes errors of callbacks to io.stderr.
-- Internal: programs do not require it, and it may change at any time.
-- A callback that fails for every message would repeat the same text, so it is written once, and
-- then only how often it has occurred. Control characters, which a peer may have sent, are
-- escaped.
local core = require("zmqloop.core")

-- Recent reports, the latest last: {text=, heading=, count=, told=, time=}. count is how often it
-- has occurred, told the last count written.
local recent = {}

local MOST = 16 -- reports are remembered,
local SECONDS = 60 -- for this long after the last one,
local LONGEST = 4096 -- compared by at most this many bytes

-- Seconds of the system's clock; a sandbox may have none.
local time = (rawget(_G, "os") or {}).time or function() return 0 end

-- Counts that are written at once: 10, 100, 1000...
local function is_round(count)
  while count % 10 == 0 do
    count = count / 10
  end
  return count == 1
end

local report = {}

--- Writes a line.
function report.write(text)
  local io = rawget(_G, "io")
  local stderr = io and io.stderr
  text = core.printable(text) .. "\n"
  if stderr then
    stderr:write(text)
  else
    core.write_error(text)
  end
end

-- A value as text. A report must not fail because tostring() does.
local function text_of(value)
  local made, text = pcall(tostring, value)
  return made and type(text) == "string" and text or ("(%s without a text)"):format(type(value))
end

--- The place of an error: "callback main.lua:12".
function report.place(callback)
  if type(callback) == "table" and callback.future_class then
    return ("%s, which nobody has awaited"):format(text_of(callback))
  end
  local source = core.source_of(callback)
  if source or type(callback) == "function" then
    return "callback " .. (source or "of C")
  end
  return text_of(callback)
end

--- The first line of a report.
function report.heading(callback)
  return ("Exception in %s:"):format(report.place(callback))
end

local function tell_count(entry)
  if entry.count > entry.told then
    entry.told = entry.count
    report.write(("%s the same %d times"):format(entry.heading, entry.count))
  end
end

-- Writes all counts that have grown.
local function tell_all()
  for _, entry in ipairs(recent) do
    tell_count(entry)
  end
end

-- Calls it when the Lua state ends.
local function watch_end()
  local newproxy = rawget(_G, "newproxy") -- where tables have no finalizers
  if newproxy then
    local proxy = newproxy(true)
    getmetatable(proxy).__gc = tell_all
    return proxy
  end
  return setmetatable({}, {__gc = tell_all})
end

-- Removes the entry of the text from the list and returns it; nil if there is no recent one.
local function take(text)
  local now = time()
  for i, entry in ipairs(recent) do
    if entry.text == text then
      table.remove(recent, i)
      if now - entry.time <= SECONDS then
        return entry
      end
      tell_count(entry)
      return nil
    end
  end
end

local function remember(entry)
  entry.time = time()
  recent[#recent + 1] = entry
  recent.at_end = recent.at_end or watch_end()
  if #recent > MOST then
    tell_count(table.remove(recent, 1))
  end
end

--- Reports an error of a callback: writes it, or counts it if it was written recently.
function report.exception(callback, traceback)
  local heading, text = report.heading(callback), text_of(traceback)
  local key = (heading .. text):sub(1, LONGEST)
  local entry = take(key)
  if not entry then
    entry = {text = key, heading = heading, count = 0, told = 1}
    report.write(heading .. "\n" .. text)
  end
  entry.count = entry.count + 1
  remember(entry)
  if is_round(entry.count) then
    tell_count(entry)
  end
end

return report
