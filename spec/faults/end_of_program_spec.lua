-- The end of the program itself, however it comes.
local helper = require("spec.helper")
local test = helper.test

local HANG = 137 -- the time limit had to kill it

-- True when os.exit(code, true) closes the state: not in 5.1.
local CLOSES = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

describe("the end of a program", function()
  after_each(helper.cleanup)

  -- How a program may end, and its exit status then.
  local endings = {
    {name = "the end of the file", code = "", status = 0, closes = true},
    {name = "error()", code = "error('the end')", status = 1, closes = true},
    {name = "os.exit(0)", code = "os.exit(0)", status = 0},
    {name = "os.exit(3, true)", code = "os.exit(3, true)", status = 3, closes = CLOSES},
    {name = "os.exit(0) inside a callback", status = 0,
     code = "loop:add_callback(function() os.exit(0) end) loop:start()"},
    {name = "os.exit(3, true) inside a callback", status = 3, closes = CLOSES,
     code = "loop:add_callback(function() os.exit(3, true) end) loop:start()"},
    {name = "os.exit(3, true) inside on_recv", status = 3, closes = CLOSES, code = [[
      local a = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
      local b = zmqloop.ZMQStream(ctx:socket("PAIR"), loop)
      a:bind("inproc://exit")
      b:connect("inproc://exit")
      a:send("1")
      a:send("2")
      b:on_recv(function() os.exit(3, true) end)
      loop:start()
    ]]},
    {name = "an error in a callback that start() raises", status = 1, closes = true, code = [[
      loop:on_error("raise")
      loop:call_later(0, error, "the end")
      loop:start()
    ]]},
    {name = "an error inside a coroutine that runs the loop", status = 1, closes = true, code = [[
      loop:on_error("raise")
      loop:call_later(0, error, "the end")
      coroutine.wrap(function() loop:start() end)()
    ]]},
    {name = "Ctrl-C", status = 1, closes = true, interrupt = true, code = [[
      loop:call_later(0, print, "ready")
      loop:start()
    ]]},
  }

  -- The user asked for lingering for ever here; it ends all the same.
  local UNSENT = helper.program("end_with_unsent")

  -- A peer is there, and it gets what was sent before the end.
  local LAST_WORDS = helper.program("end_with_last_words")

  local function run(t, ending, source, args)
    local child = t:child(source .. " " .. ending.code, args)
    local lines = {}
    if ending.interrupt then
      repeat
        lines[1] = child:line()
      until not lines[1]:find("^zmqloop: .*on_recv") -- of a PUSH
      assert.equal("ready", lines[1])
      child:wait_asleep()
      child:kill("INT")
    end
    local output, status = child:finish()
    assert.not_equal(HANG, status, "it hangs: " .. output)
    assert.equal(ending.status, status, output)
    assert.is_nil(output:find("a callback ran", 1, true))
    if ending.interrupt then assert.matches("interrupted!", output, 1, true) end
  end

  for _, ending in ipairs(endings) do
    it("by " .. ending.name .. " does not hang on unsent messages", test(function(t)
      run(t, ending, UNSENT)
    end))

    it("by " .. ending.name .. " with a peer connected", test(function(t)
      local pull = t:socket("PULL", {rcvtimeo = 5000})
      run(t, ending, LAST_WORDS, {t:bind(pull, "tcp")})
      if ending.closes then
        assert.equal("first", pull:recv())
        for i = 1, 100 do assert.equal("word " .. i, pull:recv()) end
      end
    end))
  end

  it("with the instance of context and loop, never closed", test(function(t)
    local pull = t:socket("PULL", {rcvtimeo = 5000})
    local output, status = t:run_child(helper.program("end_with_instances"), {t:bind(pull, "tcp")})
    assert.equal("", output)
    assert.equal(0, status)
    assert.equal("hello", pull:recv())
  end))

  it("right after a linger that was chosen to be 0 drops, and ends", test(function(t)
    local output, status = t:run_child(helper.program("end_without_linger"))
    assert.equal("", output)
    assert.equal(0, status)
  end))

  it("in lua_close runs no callback and frees live handles in any order", test(function(t)
    if not CLOSES then return end
    for variant = 1, 4 do
      local output, status = t:run_child(helper.program("end_with_live_handles"), {variant})
      assert.equal(0, status, output)
      if variant ~= 3 then
        local never_started = "^zmqloop: an IOLoop was never started, [^\n]*\n$"
        assert.equal("", (output:gsub(never_started, "")), "variant " .. variant)
      end
    end
  end))
end)
