-- Users of PyZMQ find the names of its page eventloop.ioloop, as it was when PyZMQ had its own loop
-- (13 and 14), under zmqloop.ioloop.
local helper = require("spec.helper")
local ioloop = require("zmqloop.ioloop")
local IOLoop = ioloop.IOLoop

local function words(text)
  local list = {}
  for word in text:gmatch("%S+") do list[#list + 1] = word end
  return list
end

-- Class -> functions and methods.
local pyzmq = {
  IOLoop = words[[
    instance initialized install clear_instance clear_current current make_current
    configure configurable_base configurable_default configured_class initialize close
    add_handler update_handler remove_handler
    set_blocking_signal_threshold set_blocking_log_threshold log_stack
    start stop run_sync time
    add_timeout call_later call_at remove_timeout
    add_callback add_callback_from_signal spawn_callback add_future
    handle_callback_exception split_fd close_fd
  ]],
  PeriodicCallback = words"start stop is_running",
  DelayedCallback = words"start stop is_running",
  ZMQPoller = words"register modify unregister poll close",
}

-- What zmqloop has besides.
local ours = {
  IOLoop = words[[
    new run step advance running closed on_error
    add_signal_handler remove_signal_handler fd timeout pollable stats
  ]],
  PeriodicCallback = {"new"},
  DelayedCallback = {"new"},
  ZMQPoller = {"new"},
}

local function is_callable(value)
  local metatable = getmetatable(value)
  return type(value) == "function" or type(metatable) == "table" and metatable.__call ~= nil
end

local function check_methods(class, names)
  assert.is_true(is_callable(ioloop[class]), class .. " cannot be called")
  for _, name in ipairs(names) do
    assert.is_true(is_callable(ioloop[class][name]), ("%s.%s is missing"):format(class, name))
  end
end

describe("the names of zmqloop.ioloop", function()
  for class, names in pairs(pyzmq) do
    it("are those of PyZMQ's " .. class, function() check_methods(class, names) end)
  end

  for class, names in pairs(ours) do
    it("of our own in " .. class .. " are there", function() check_methods(class, names) end)
  end

  it("are PyZMQ's ZMQIOLoop and install() as well", function()
    assert.is_true(is_callable(ioloop.ZMQIOLoop))
    assert.is_true(is_callable(ioloop.install))
  end)

  it("are Tornado's numbers of events", function()
    assert.same({0, 1, 4, 24}, {IOLoop.NONE, IOLoop.READ, IOLoop.WRITE, IOLoop.ERROR})
  end)

  it("are methods of a loop, of one of a derived class as well", function()
    local loops = {IOLoop(), IOLoop{impl = {}}}
    for _, loop in ipairs(loops) do
      for _, name in ipairs(pyzmq.IOLoop) do
        assert.equal(IOLoop[name], loop[name])
      end
      loop:close()
    end
  end)

  it("are methods of the handle of a timeout", function()
    local loop = IOLoop()
    local handle = loop:call_later(1, print)
    for _, name in ipairs{"cancel", "active", "remaining", "again"} do
      assert.is_function(handle[name])
    end
    loop:close()
  end)
end)

describe("what most programs do not need", function()
  it("is loaded when it is asked for", helper.test(function(t)
    local output, status = t:run_child(helper.program("names_on_demand"))
    assert.equal("done\n", output)
    assert.equal(0, status)
  end))

  -- Test runners forget modules between files.
  it("is one where the modules are loaded again", helper.test(function(t)
    local output, status = t:run_child(helper.program("modules_forgotten"))
    assert.equal("done\n", output)
    assert.equal(0, status)
  end))
end)
