-- An error that ends a program shows where it was raised, and through which tasks it passed; code
-- that catches it gets the value itself, and can ask for its trace.
local helper = require("spec.helper")
local async, test = helper.async, helper.test
local zmqloop = require("zmqloop")

local function read()
  error("disk full")
end

-- What a program that an error ends writes, without the paths of the library and of the script.
local function last_words(t, source)
  local output, status = t:run_child(source)
  assert.equal(1, status, output)
  return (output:gsub("%S*/([%w_.-]+):(%d+)", "%1:%2"):gsub("lua_%w+", "main"))
end

local PROGRAM = [[
local loop = new_loop() loop:make_current()
local function read() error("disk full") end
local function load() read() return 1 end
local function get() local text = loop:spawn(load):await() return text end
local function main() local all = zmqloop.gather{loop:spawn(get)} return all end
]]

-- Do the texts stand in this order?
local function assert_in_order(output, ...)
  local from = 1
  for _, text in ipairs{...} do
    local first, last = output:find(text, from, true)
    assert(first, ("'%s' is missing, or in another place, in:\n%s"):format(text, output))
    from = last + 1
  end
end

describe("an error that ends the program", function()
  after_each(helper.cleanup)

  it("tells where a task raised it, and which tasks awaited it where", test(function(t)
    local output = last_words(t, PROGRAM .. "loop:run_sync(main)\n")
    assert_in_order(output, ":2: disk full\nstack traceback:", ":2: in", ":3: in",
      "in the task of ", ":3\nawaited at\n", ":4: in", "in the task of ", ":4\nawaited at\n",
      ":5: in", "in the task of ", ":5\nstack traceback:\n", ":6: in main chunk")
  end))

  it("tells where a callback raised it that on_error(\"raise\") raises", test(function(t)
    local output = last_words(t, PROGRAM .. "loop:on_error('raise')\n" ..
      "loop:add_callback(load)\nloop:start()\n")
    assert_in_order(output, ":2: disk full\nstack traceback:", ":2: in", ":3: in",
      "stack traceback:", ":8: in main chunk")
  end))

  for name, handler in pairs({
    ["on_error() was given"] = "loop:on_error(function() read() end)\n",
    ["stands for handle_callback_exception()"] =
      "function loop.handle_callback_exception() read() end\n",
  }) do
    it("tells where the function raised it that " .. name, test(function(t)
      local output = last_words(t, PROGRAM .. handler ..
        "loop:add_callback(function() error('another') end)\nloop:start()\n")
      assert_in_order(output, ":2: disk full\nstack traceback:\n", ":2: in", ":6: in",
        "stack traceback:", ":8: in main chunk")
      assert.is_nil(output:find("another", 1, true))
    end))
  end

  it("tells where a callback raised it that has waited", test(function(t)
    local output = last_words(t, PROGRAM .. "loop:on_error('raise')\n" ..
      "loop:add_callback(function() zmqloop.sleep(0) read() end)\nloop:start()\n")
    assert_in_order(output, ":2: disk full\nstack traceback:", ":2: in", ":7: in",
      "in the callback of", ":7\nstack traceback:", ":8: in main chunk")
  end))

  it("tells where a task raised it that nobody has awaited", test(function(t)
    local output = last_words(t, PROGRAM .. "loop:on_error('raise')\nloop:spawn(load)\n" ..
      "loop:call_later(0, function() collectgarbage() collectgarbage() end)\nloop:run()\n" ..
      "collectgarbage() collectgarbage() loop:run()\n")
    assert_in_order(output, ":2: disk full\nstack traceback:", ":2: in", ":3: in", "in the task of",
      ":3\nstack traceback:", "in main chunk")
  end))

  it("tells what an error object says of itself", test(function(t)
    local output = last_words(t, PROGRAM ..
      "local e = setmetatable({}, {__tostring = function() return 'no disk' end})\n" ..
      "loop:run_sync(function() error(e) end)\n")
    assert_in_order(output, "no disk\nstack traceback:", ":7: in", "in the task of",
      ":7: in main chunk")
  end))

  it("tells where set_error() was called", test(function(t)
    local output = last_words(t, PROGRAM ..
      "local f = zmqloop.Future()\nf:set_error('no disk')\n" ..
      "loop:run_sync(function() local r = f:await() return r end)\n")
    assert_in_order(output, "no disk\nset by set_error() at ", ":7\nawaited at\n", ":8: in",
      "in the task of")
  end))

  it("has its control characters shown", test(function(t)
    local output = last_words(t, PROGRAM ..
      "loop:run_sync(function() error('\\27[2J\\7\\194\\155\\255 h\\195\\164', 0) end)\n")
    assert_in_order(output, "\\x1b[2J\\x07\\xc2\\x9b\\xff h\195\164\nstack traceback:")
  end))

  for name, call in pairs({
    ["a callback"] = "loop:add_callback(fail) loop:start()",
    ["a callback that has waited"] =
      "loop:add_callback(function() zmqloop.sleep(0) fail() end) loop:start()",
    ["a task"] = "loop:run_sync(fail)",
  }) do
    it("is told beyond a zero byte: of " .. name, test(function(t)
      local output = last_words(t, PROGRAM .. "loop:on_error('raise')\n" ..
        "local function fail() error('a\\0b', 0) end\n" .. call .. "\n")
      assert_in_order(output, "a\\x00b\nstack traceback:", ":7: in")
    end))
  end
end)

describe("an error that is caught", function()
  after_each(helper.cleanup)

  it("is the value that was raised", test(function(t)
    local object = {}
    for _, value in ipairs{"text", object, 7, true} do
      local ok, err = pcall(t.loop.run_sync, t.loop, function()
        return t.loop:spawn(function() error(value, 0) end):await()
      end)
      assert.is_false(ok)
      assert.equal(value, err)
      t.loop:on_error("raise")
      t.loop:add_callback(function() error(value, 0) end)
      ok, err = pcall(t.loop.start, t.loop)
      t.loop:on_error(nil)
      assert.is_false(ok)
      assert.equal(value, err)
    end
  end))

  it("has its trace with the task, and by zmqloop.traceback()", async(function(t)
    local inner = t.loop:spawn(read)
    local outer = t.loop:spawn(function() local text = inner:await() return text end)
    local ok, err = zmqloop.pcall(outer.await, outer)
    assert.is_false(ok)
    assert.matches("disk full$", err)
    assert_in_order(inner:traceback(), "disk full\nstack traceback:", "in the task of")
    assert_in_order(outer:traceback(), "disk full\nstack traceback:", "in the task of",
      "awaited at\n", "in the task of")
    assert_in_order(zmqloop.traceback(err), outer:traceback(), "stack traceback:")
  end))

  it("has in its trace what comes after a zero byte", async(function(t)
    local task = t.loop:spawn(function() error("a\0b", 0) end)
    local ok, err = zmqloop.pcall(task.await, task)
    assert.is_false(ok)
    assert.equal("a\0b", err)
    assert_in_order(task:traceback(), "a\\x00b\nstack traceback:")
    assert_in_order(zmqloop.traceback("c\0d"), "c\\x00d\nstack traceback:")
    local _, text = zmqloop.xpcall(error, function(_, traceback) return traceback end, "e\0f", 0)
    assert_in_order(text, "e\\x00f\nstack traceback:")
  end))

  it("has its trace in a message handler", test(function(t)
    local _, text = xpcall(function()
      t.loop:run_sync(read)
    end, zmqloop.traceback)
    assert_in_order(text, "disk full\nstack traceback:", "in the task of", "\nstack traceback:\n")
  end))

  it("has no other one's trace", async(function(t)
    local first = t.loop:spawn(function() error("no", 0) end)
    zmqloop.pcall(first.await, first)
    local second = t.loop:spawn(function() error("no", 0) end)
    zmqloop.pcall(second.await, second)
    assert.is_nil(second:traceback():find("awaited", 1, true))
    assert.equal("unknown", zmqloop.traceback("unknown"):match("^[^\n]*"))
  end))

  it("has a trace that ends, however many tasks it came through", async(function(t)
    local task = t.loop:spawn(read)
    for _ = 1, 500 do
      local awaited = task
      task = t.loop:spawn(function() local r = awaited:await() return r end)
    end
    zmqloop.pcall(task.await, task)
    assert.is_true(#task:traceback() < 20000)
    assert.matches("\n%.%.%.$", task:traceback())
  end))

  it("has its trace through shield() and with_timeout()", async(function(t)
    local shielded = zmqloop.shield(t.loop:spawn(read))
    local ok = zmqloop.pcall(zmqloop.with_timeout, 5, shielded)
    assert.is_false(ok)
    assert_in_order(shielded:traceback(), "disk full\nstack traceback:", "in the task of")
  end))
end)
