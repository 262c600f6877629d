-- Modules that are loaded on first use could not be loaded when no descriptor was left, in another
-- folder, or in a sandbox.
local helper = require("spec.helper")
local modules = require("zmqloop.modules")

local ways = {
  ["no descriptor is left"] = [[
    local files = {}
    while true do
      local file = io.open("/dev/null")
      if not file then break end
      files[#files + 1] = file
    end
  ]],
  ["the path leads nowhere any more"] = [[ package.path = "/nowhere/?.lua" ]],
  ["there is no io any more"] = [[ io = nil package.loaded.io = nil ]],
}

local program = [[
local loop = zmqloop.IOLoop{impl = BACKEND, clock = "virtual"}
local ctx = zmqloop.zmq.Context()
local stream = zmqloop.ZMQStream(ctx:socket("PAIR", {bind = "inproc://read"}), loop)
local peer = ctx:socket("PAIR", {connect = "inproc://read"})
%s
for _, name in ipairs{"Future", "CANCELLED", "traceback", "spawn", "sleep", "await", "gather",
  "pcall", "xpcall", "current_task", "Event", "Condition", "Semaphore", "Lock", "Queue",
  "PriorityQueue", "DelayedCallback", "PeriodicCallback", "ZMQPoller"} do
  assert(zmqloop[name], name)
end
assert(loop.set_blocking_log_threshold and zmqloop.zmq.Poller and peer.monitor)
peer:send("x")
print(loop:run_sync(function()
  zmqloop.sleep(1)
  return stream:recv()[1]
end))
]]

describe("the modules of zmqloop", function()
  after_each(helper.cleanup)

  for way, code in pairs(ways) do
    it("are there when they are needed and " .. way, helper.test(function(t)
      local output, status = t:run_child(program:format(code), nil, nil, "ulimit -n 64;")
      assert.equal("x\n", output)
      assert.equal(0, status)
    end))
  end

  it("take little of Lua's memory before they are needed", helper.test(function(t)
    local output = t:run_child(helper.program("memory_of_late_modules"))
    assert.equal("true\n", output)
  end))

  it("tell the fault of a text that cannot be compiled, and its file", helper.test(function(t)
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/zmqloop/async"))
    local file = assert(io.open(folder .. "/zmqloop/async/locks.lua", "w"))
    file:write("local = 1")
    file:close()
    local output = t:run_child([[
      package.loaded["zmqloop.async.locks"], package.preload["zmqloop.async.locks"] = nil, nil
      local path = package.path
      package.path = "]] .. folder .. [[/?.lua;" .. path
      require("zmqloop.modules").keep()
      package.path = path
      local ok, message = pcall(function() return zmqloop.Event end)
      print(ok, message:match("zmqloop/async/locks.lua:1:") ~= nil)
    ]])
    os.execute("rm -r " .. folder)
    assert.equal("false\ttrue\n", output)
  end))

  it("are all loaded by preload()", helper.test(function(t)
    local output = t:run_child(helper.program("modules_all_loaded"))
    assert.equal("ok\n", output)
  end))

  it("that are needed late are all known", helper.test(function(t)
    local known = {testing = true, jit = true, init = true} -- by name, or at once
    for _, list in ipairs({modules.kept, modules.others}) do
      for _, name in ipairs(list) do known[name] = true end
    end
    local output = t:run_child([[
      for name in pairs(package.loaded) do
        if name:match("^zmqloop%.") then print(name:match("%.(.*)")) end
      end
    ]])
    for name in output:gmatch("[^\n]+") do known[name] = true end
    local pipe = assert(io.popen("ls lua/zmqloop/*.lua lua/zmqloop/async/*.lua"))
    for path in pipe:lines() do
      local name = path:match("zmqloop/(.+)%.lua$"):gsub("/", ".")
      assert.is_true(known[name], name .. " is not in modules.lua")
    end
    pipe:close()
  end))

  it("come from their files when they are loaded once more", helper.test(function(t)
    local output = t:run_child(helper.program("module_loaded_once_more"))
    assert.equal("true\ttrue\n", output)
  end))
end)
