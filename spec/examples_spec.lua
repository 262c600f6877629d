-- Each example is run as a reader would run it: in a process of its own.
local helper = require("spec.helper")
local test = helper.test

-- An example as a child process. LUA_PATH and LUA_CPATH lead it to the modules
-- of this process; the variables of one version would go before them.
local function example(t, words)
  local version = _VERSION:gsub("Lua ", ""):gsub("%.", "_")
  local environment = ("-u LUA_PATH_%s -u LUA_CPATH_%s LUA_PATH=%s LUA_CPATH=%s"):format(
    version, version, helper.quote(package.path), helper.quote(package.cpath))
  return t:keep(helper.command(("env %s %s"):format(environment, words), 60))
end

local function lua_example(t, name, ...)
  local words = {helper.quote(helper.interpreter), "examples/" .. name}
  for i = 1, select("#", ...) do words[#words + 1] = helper.quote((select(i, ...))) end
  return example(t, table.concat(words, " "))
end

-- Asks at an endpoint, and expects to hear the same.
local function assert_echo(t, endpoint)
  local stream = t:stream("REQ")
  assert(stream:connect(endpoint))
  local questions, answers = {{"hello"}, {"", "a\0b", ""}, {("x"):rep(100000)}}, {}
  stream:on_recv(function(frames) answers[#answers + 1] = frames end)
  for _, frames in ipairs(questions) do assert.is_true(stream:send_multipart(frames)) end
  t:run_until(function() return #answers == #questions end)
  assert.same(questions, answers)
end

describe("examples/", function()
  after_each(helper.cleanup)

  it("interrupt.lua is reached by its control socket while it computes", test(function(t)
    local service = lua_example(t, "interrupt.lua", "tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    local work, control = service:line():match("^work at (%S+), control at (%S+)$")
    local worker, boss = t:stream("REQ", {connect = work}), t:stream("REQ", {connect = control})
    local result, status
    worker:on_recv(function(frames) result = frames[1] end)
    boss:on_recv(function(frames) status = frames[1] end)
    local function order(text)
      status = nil
      boss:send(text)
      t:run_until(function() return status end)
      return status
    end
    assert.equal("idle", order("status"))
    worker:send("10")
    t:run_until(function() return result end)
    assert.matches("^done: %d+$", result)
    result = nil
    worker:send("1e15") -- longer than any wait
    t:run_until(function() return order("status"):match("^busy") end)
    assert.is_nil(result)
    order("cancel")
    t:run_until(function() return result end)
    assert.equal("failed: cancelled", result)
    order("quit")
    local _, code = service:finish()
    assert.equal(0, code)
  end))

  it("echo.lua answers each request with its own frames", test(function(t)
    local service = lua_example(t, "echo.lua", "tcp://127.0.0.1:*")
    local endpoint = service:line():match("^echo service at (tcp://127%.0%.0%.1:%d+)$")
    assert.is_string(endpoint)
    assert_echo(t, endpoint)
    local answer, client_status = lua_example(t, "echo_client.lua", endpoint):finish()
    assert.equal("the service answers: hello\n", answer)
    assert.equal(0, client_status)
    service:kill("INT")
    local output, status = service:finish()
    assert.equal(1, status, output)
    assert.matches("interrupted!", output, 1, true)
  end))

  it("echo.lua fits on a page", function()
    local file = assert(io.open("examples/echo.lua"))
    local lines = 0
    for _ in file:lines() do lines = lines + 1 end
    file:close()
    assert.is_true(lines <= 16)
  end)

  it("on_recv_stream.lua echoes at both addresses", test(function(t)
    local service = lua_example(t, "on_recv_stream.lua", "tcp://127.0.0.1:*", t:address("ipc"))
    for _ = 1, 2 do
      assert_echo(t, (service:line():match("^echo at (.*)$")))
    end
  end))

  it("own_loop_spec.lua passes", test(function(t)
    local program = assert(arg and arg[0], "no name of busted")
    local busted = example(t, ("%s %s --helper=spec/helper.lua -o plainTerminal %s"):format(
      helper.quote(helper.interpreter), helper.quote(program), "examples/own_loop_spec.lua"))
    local output, status = busted:finish()
    assert.equal(0, status, output)
    assert.matches("2 successes / 0 failures / 0 errors", output, 1, true)
  end))

  it("service.lua and client.lua finish their conversation", test(function(t)
    local service = lua_example(t, "service.lua")
    local requests, heartbeat = service:line():match("^(%S+) (%S+)$")
    assert.is_string(heartbeat)
    local output, status = lua_example(t, "client.lua", requests, heartbeat):finish()
    assert.equal(0, status, output)
    output, status = service:finish()
    assert.equal(0, status, output)
  end))

  it("tasks.lua has all questions answered", test(function(t)
    local output, status = lua_example(t, "tasks.lua"):finish()
    assert.equal(0, status, output)
    assert.equal("QUESTION 1\nQUESTION 2\nQUESTION 3\nQUESTION 4\nQUESTION 5\n", output)
  end))

  it("are all run here", function()
    local spec = assert(io.open("spec/examples_spec.lua"))
    local text = spec:read("*a")
    spec:close()
    local list = io.popen("ls examples/*.lua")
    for path in list:lines() do
      local name = path:match("([^/]+)$")
      assert.truthy(text:find('"' .. name .. '"', 1, true)
        or text:find("examples/" .. name .. '"', 1, true), name)
    end
    list:close()
  end)
end)
