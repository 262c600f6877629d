--- zmqloop.compat: differences between versions of Lua that matter to tasks.
-- Internal: programs do not require it, and it may change at any time.
local core = require("zmqloop.core")
local classes = require("zmqloop.class")

if classes.registered("compat") then
  return classes.registered("compat")
end

local trace = require("zmqloop.trace")

local check_callable = core.check_callable
local unpack = rawget(table, "unpack") or rawget(_G, "unpack")
local rawequal = rawequal

-- A host may have removed the debug library, or parts of it: then texts lack its information.
local debugging = type(debug) == "table" and debug or {}
local getinfo = debugging.getinfo or function() return nil end
local make_traceback = debugging.traceback or function(_, text) return text or "" end

-- Yielded by a coroutine that only tests whether it can yield.
local TRIES = core.trial

-- ---- where a coroutine can yield ------------------------------------------------------------

-- The level of the innermost C function that cannot be yielded across, except the one in which a
-- callback begins, and its debug.getinfo().
local function find_c_function(passable)
  for level = 3, math.huge do
    local info = getinfo(level, "Sf")
    if not info then
      return nil
    elseif info.what == "C" and not passable[info.func] and getinfo(level + 1, "f") then
      return level - 1, info
    end
  end
end

local isyieldable = rawget(coroutine, "isyieldable") -- from 5.3 on, and in LuaJIT

local IS_5_1 = _VERSION == "Lua 5.1" and not isyieldable

local passable = IS_5_1 and {} or {[pcall] = true, [xpcall] = true}

-- A text: why the coroutine cannot yield here, and what to do.
local function obstacle()
  local level, info = find_c_function(passable)
  if info and IS_5_1 and info.func == pcall then
    return "inside pcall, which Lua 5.1 cannot suspend; use zmqloop.pcall"
  end
  local name = level and getinfo(level, "n").name
  return ("inside %s, which cannot be suspended; wait before or after it"):format(
    name and "'" .. name .. "'" or "a function of C")
end

-- Whether the running coroutine can yield here, and perhaps why not. Before 5.3 the only way to
-- find out is to try: the resumer of a task or callback recognizes TRIES and resumes it at once. In
-- 5.1 the attempt raises inside finalizers, metamethods and iterators of `for`, which the stack
-- does not show.
local function can_yield()
  if isyieldable then
    return isyieldable()
  elseif not IS_5_1 then
    local can, err = pcall(coroutine.yield, TRIES)
    if err == "not enough memory" then
      error(err, 0)
    end
    return can
  elseif find_c_function(passable) then
    return false, obstacle()
  end
  return coroutine.yield(TRIES)
end

-- ---- pcall ----------------------------------------------------------------------------------

-- In 5.1 a protected function runs in its own coroutine, and its yields are passed on. Weak: such a
-- coroutine -> the one that it is part of.
local part_of = setmetatable({}, {__mode = "kv"})

local function whole(co)
  return part_of[co] or co
end

-- The results of pcall() or xpcall() for an error that has ended the coroutine co.
local function handled(co, handler, err)
  if not handler then
    return false, err
  elseif handler == debugging.traceback then
    return false, handler(co, err)
  end
  return false, (select(2, pcall(handler, err, make_traceback(co, trace.describe(err)))))
end

local function passed(co, handler, ok, ...)
  if not ok then
    return handled(co, handler, (...))
  elseif coroutine.status(co) == "dead" then
    return true, ...
  elseif rawequal((...), TRIES) then
    return passed(co, handler, coroutine.resume(co, can_yield()))
  end
  return passed(co, handler, coroutine.resume(co, coroutine.yield(...)))
end

-- The xpcall(), or without a handler pcall(), for 5.1.
local function call_in_part(handler, fn, ...)
  -- A C function cannot begin a coroutine in 5.1.
  local co = coroutine.create(function(...) return fn(...) end)
  part_of[co] = whole(coroutine.running())
  return passed(co, handler, coroutine.resume(co, ...))
end

--- pcall() that can be yielded across in every version of Lua.
local portable_pcall = pcall
if IS_5_1 then
  portable_pcall = function(fn, ...)
    if not coroutine.running() then
      return pcall(fn, ...)
    end
    return call_in_part(nil, fn, ...)
  end
end

--- xpcall() that can be yielded across in every version of Lua, and takes arguments for fn. On an
-- error calls handler(err, traceback), with the traceback of where it was raised; if the handler
-- is debug.traceback itself, handler(err). Returns true and the results of fn, or false and those
-- of the handler.
local function portable_xpcall(fn, handler, ...)
  check_callable("xpcall", 2, handler)
  if IS_5_1 and coroutine.running() then
    return call_in_part(handler, fn, ...)
  end
  local handle = handler
  if handler ~= debugging.traceback then
    handle = function(err) return handler(err, make_traceback(trace.describe(err), 2)) end
  end
  if IS_5_1 then -- whose xpcall() takes no arguments for fn
    local n, arguments = select("#", ...), {...}
    return xpcall(function() return fn(unpack(arguments, 1, n)) end, handle)
  end
  return xpcall(fn, handle, ...)
end

-- The running coroutine of a task; within a 5.1 pcall() the one that it is part of.
local running = coroutine.running
if IS_5_1 then
  running = function()
    local co = coroutine.running()
    return co and whole(co)
  end
end

return classes.register("compat", {
  IS_5_1 = IS_5_1,
  TRIES = TRIES,
  unpack = unpack,
  traceback = make_traceback,
  can_yield = can_yield,
  obstacle = obstacle,
  pcall = portable_pcall,
  xpcall = portable_xpcall,
  running = running,
  whole = whole,
})
