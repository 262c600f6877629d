-- What the loop writes by default for unhandled errors: it names the place, lets no peer control
-- the terminal, and does not repeat the same text.
local helper = require("spec.helper")
local test = helper.test

local LOOP = "local loop = new_loop() loop:make_current() "

local function count(text, part)
  local n = 0
  for _ in text:gmatch(part) do n = n + 1 end
  return n
end

describe("the default report of an error", function()
  after_each(helper.cleanup)

  local function output_of(t, source)
    local output, status = t:run_child(LOOP .. source)
    assert.equal(0, status, output)
    return output
  end

  it("names the callback by its file and line", test(function(t)
    local output = output_of(t, "\nloop:add_callback(function()\nerror('boom') end)\n" ..
      "loop:add_callback(setmetatable({}, {__call = function()\nerror('boom') end}))\n" ..
      "loop:run()\n")
    assert.matches("Exception in callback %S+:2:\n%S+:3: boom\nstack traceback:", output)
    assert.matches("Exception in callback %S+:4:\n%S+:5: boom\nstack traceback:", output)
  end))

  it("says that it was a task which nobody has awaited", test(function(t)
    local output = output_of(t, "\nloop:spawn(function() error('boom') end)\nloop:run()" ..
      " collectgarbage() collectgarbage() loop:run()\n")
    assert.matches("Exception in Task %(error%) of %S+:2, which nobody has awaited:\n%S+:2: boom\n",
      output)
  end))

  it("shows control characters, which the handler's error keeps", test(function(t)
    local output = output_of(t, [[
      local text = "\27]0;title\7\r\127\194\133\155\tend\n\195\164\226\130\172"
      loop:add_callback(function() error(text, 0) end)
      loop:run()
      loop:on_error(function(_, err) print(err == text) end)
      loop:add_callback(function() error(text, 0) end)
      loop:run()
    ]])
    assert.matches("\\x1b]0;title\\x07\\x0d\\x7f\\xc2\\x85\\x9b\tend\n\195\164\226\130\172\n",
      output, 1, true)
    assert.is_nil(output:find("[%z\1-\8\11-\31\127]"))
    assert.matches("true\n", output, 1, true)
  end))

  it("is written once for what comes again and again, then counted", test(function(t)
    local output = output_of(t, [[
      local n = 0
      local function fail()
        n = n + 1
        if n < 250 then loop:add_callback(fail) end
        error("no disk")
      end
      loop:add_callback(fail)
      loop:run()
    ]])
    assert.equal(1, count(output, "no disk"))
    assert.matches("the same 10 times\n.*the same 100 times\n.*the same 250 times\n", output)
    assert.equal(3, count(output, "the same %d+ times"))
  end))

  it("is written for each of two things that come in turns", test(function(t)
    local output = output_of(t, [[
      local n = 0
      local function fail()
        n = n + 1
        if n < 40 then loop:add_callback(fail) end
        error(n % 2 == 0 and "no disk" or "no net")
      end
      loop:add_callback(fail)
      loop:run()
    ]])
    assert.equal(1, count(output, "no disk"))
    assert.equal(1, count(output, "no net"))
    assert.equal(2, count(output, "the same 20 times"))
  end))

  it("takes a bounded memory, whatever comes", test(function(t)
    local output = output_of(t, [[
      io.stderr:close()
      local memory
      for n = 1, 200 do
        loop:add_callback(error, n .. ("x"):rep(20000))
        loop:run()
        if n == 100 then collectgarbage() memory = collectgarbage("count") end
      end
      collectgarbage()
      print(collectgarbage("count") - memory < 200)
    ]])
    assert.matches("true\n", output, 1, true)
  end))

  it("does without the library io", test(function(t)
    local output = output_of(t, "io = nil loop:add_callback(error, 'boom', 0) loop:run()\n")
    assert.matches("Exception in callback of C:\nboom\n", output, 1, true)
  end))
end)
