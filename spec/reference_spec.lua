-- The reference (docs/reference, made by scripts/docs) and the table of other libraries' names.
-- That the pages are up to date and no link is broken is checked by scripts/docs --check.
local errors = require("scripts.reference.errors")
local model = require("scripts.reference.model").read()

local function content(path)
  local file = assert(io.open(path))
  local text = file:read("*a")
  file:close()
  return text
end

-- The rows of the tables of docs/names.md: {foreign, here}.
local function rows()
  local list = {}
  for line in content("docs/names.md"):gmatch("[^\n]+") do
    local foreign, here = line:match("^| ([^|]+) | ([^|]+) |")
    if foreign and foreign ~= "name" then list[#list + 1] = {foreign, here} end
  end
  return list
end

-- What stands on PyZMQ's pages eventloop and green, by class.
local PYZMQ = {
  ioloop = {"IOLoop", "ZMQIOLoop", "ZMQPoller", "DelayedCallback", "PeriodicCallback", "install"},
  IOLoop = {
    "add_callback", "add_callback_from_signal", "add_future", "add_handler", "add_timeout",
    "call_at", "call_later", "clear_current", "clear_instance", "close", "close_fd",
    "configurable_base", "configurable_default", "configure", "configured_class", "current",
    "handle_callback_exception", "initialize", "initialized", "install", "instance", "log_stack",
    "make_current", "remove_handler", "remove_timeout", "run_sync", "running", "closed",
    "set_blocking_log_threshold", "set_blocking_signal_threshold", "spawn_callback", "split_fd",
    "start", "stop", "time", "update_handler", "NONE", "READ", "WRITE", "ERROR",
  },
  DelayedCallback = {"start", "stop"},
  PeriodicCallback = {"start", "stop", "is_running"},
  ZMQStream = {
    "bind", "bind_to_random_port", "close", "closed", "connect", "flush", "getsockopt", "io_loop",
    "on_err", "on_recv", "on_recv_stream", "on_send", "on_send_stream", "poller", "receiving",
    "send", "send_json", "send_multipart", "send_pyobj", "send_serialized", "send_string",
    "send_unicode", "sending", "set_close_callback", "setsockopt", "socket", "stop_on_err",
    "stop_on_recv", "stop_on_send",
  },
  green = {"Context", "Socket", "Poller", "device", "eventloop"},
  Context = {"instance", "socket", "term", "destroy", "set", "get", "shadow"},
  Socket = {
    "bind", "connect", "unbind", "disconnect", "send", "recv", "send_multipart", "recv_multipart",
    "poll", "setsockopt", "getsockopt", "close", "closed", "monitor",
  },
  Poller = {"register", "modify", "unregister", "poll"},
  zmq = {"Frame", "MessageTracker", "device", "proxy", "select"},
}

describe("the reference", function()
  it("has names of other libraries beside names that exist here", function()
    local count = 0
    for _, row in ipairs(rows()) do
      for name in row[2]:gmatch("`([^`]+)`") do
        count = count + 1
        assert.is_truthy(model:href(name), ("%s, of %s, is nowhere"):format(name, row[1]))
      end
    end
    assert.is_true(count > 200)
  end)

  it("knows the names of PyZMQ's two pages, or what to use in their place", function()
    local count, found = 0, {}
    for _, row in ipairs(rows()) do
      local class = ""
      for name in row[1]:gmatch("`([^`]+)`") do
        local owner, member = name:gsub("%(.*", ""):match("([%w_]*)%.?([%w_]+)$")
        if name:find("^[%w_.]+%.") then class = owner end
        found[class .. "." .. (name:find("^[%w_.]+%.") and member or name:match("^[%w_]+"))] = true
      end
    end
    for class, names in pairs(PYZMQ) do
      for _, name in ipairs(names) do
        count = count + 1
        assert.is_truthy(found[class .. "." .. name] or found["." .. name],
          ("%s.%s is not in docs/names.md"):format(class, name))
      end
    end
    assert.is_true(count >= 100)
  end)

  it("has a page for each of its examples", function()
    local pipe = io.popen("ls examples/reference")
    for file in pipe:lines() do
      local program = content("examples/reference/" .. file)
      local shown = content("docs/reference/" .. file:gsub("lua$", "md"))
      assert.truthy(shown:find("\n## Example\n\n```lua\n" .. program .. "```", 1, true), file)
    end
    pipe:close()
  end)

  it("explains each error that an annotation names", function()
    for _, file in ipairs(model.files) do
      for _, class in ipairs(file.classes) do
        for _, method in ipairs(class.functions) do
          local last = method.returns[#method.returns]
          local told = method.errors or ""
          if last and last.name == "name" then told = told .. " " .. last.text end
          for name in told:gmatch("%f[%w_](E%u%u+)%f[^%w_]") do
            assert.is_truthy(errors.by_name[name], name .. " of " .. method.name)
          end
        end
      end
    end
  end)
end)
