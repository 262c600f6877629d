-- The behaviour tests of Tornado's and PyZMQ's own suites for the loop, by the
-- numbers of our list of them: 1 to 61 are Tornado's ioloop_test, 62 to 79 its
-- testing_test, 80 to 140 its gen_test and concurrent_test, 141 to 152 its
-- locks_test, queues_test and process_test, 153 to 160 PyZMQ's test_ioloop. The
-- test that proves one quotes its number in brackets, at the end of its title
-- ("... [12]") or, in C, at the begin of its comment. Here is which have no such
-- test, and why.
local function has_module(name)
  return (pcall(require, name))
end

-- What has to wait for something else. When that is there, so has to be the test.
local waiting = {
  {
    numbers = {159}, -- 156 and 157 again
    needs = "zmqloop.green",
    is_there = function() return has_module("zmqloop.green") end,
  },
}

-- What means nothing here.
local meaningless = {
  [29] = "two loops on one of asyncio: a loop here has nothing below it that could be shared",
  [37] = "run_in_executor: a Lua state is one thread",
  [38] = "run_in_executor from a coroutine: the same",
  [39] = "set_default_executor: the same",
  [55] = "a period as a timedelta: Lua has no type for spans of time",
  [114] = "futures of worker threads: a Lua state is one thread",
  [124] = "context variables: a coroutine keeps its locals, and there is nothing else to keep",
  [129] = "callbacks registered under a key and never awaited: there are no keys",
  [137] = "a client in the styles of return_future, coroutine and callback: there is one Future",
  [138] = "return_future, which gives a function with a callback a Future too: the same",
  [140] = "run_on_executor: a Lua state is one thread",
  [152] = "subprocesses: starting programs and waiting for them is not what this library is for",
  [160] = "warnings of deprecated names: there are none",
}

-- number -> where it is quoted
local function quoted_numbers()
  local quoted = {}
  local pipe = assert(io.popen("ls spec/*.lua spec/*/*.lua csrc/test/*.c"))
  for path in pipe:lines() do
    local pattern = path:find("%.c$") and "^/%* %[(%d[%d, ]*)%]" or " %[(%d[%d, ]*)%]\""
    for line in io.lines(path) do
      local numbers = not line:find("^%s*%-%-") and line:match(pattern) or ""
      for number in numbers:gmatch("%d+") do
        quoted[tonumber(number)] = path
      end
    end
  end
  pipe:close()
  return quoted
end

describe("the behaviour tests of the loop", function()
  local quoted = quoted_numbers()
  local is_waiting = {}
  for _, group in ipairs(waiting) do
    for _, number in ipairs(group.numbers) do is_waiting[number] = group.needs end
  end

  local function check(number)
    local why = meaningless[number] or is_waiting[number]
    if why then
      assert.is_nil(quoted[number], ("[%d] is left out here (%s), yet quoted in %s"):format(
        number, why, tostring(quoted[number])))
    else
      assert.is_string(quoted[number], ("no test quotes [%d]"):format(number))
    end
  end

  it("are all quoted, but for those that are left out for a reason", function()
    for number = 1, 152 do check(number) end
    for number = 153, 160 do check(number) end
  end)

  for _, group in ipairs(waiting) do
    it(("that wait for %s still have to"):format(group.needs), function()
      assert.is_false(group.is_there(), ("%s is there: write [%s], and take them off the list")
        :format(group.needs, table.concat(group.numbers, ", ")))
    end)
  end
end)
