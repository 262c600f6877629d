-- The behaviour tests of Tornado's and PyZMQ's own suites for the loop, by the
-- numbers of our list of them: 1 to 61 are Tornado's ioloop_test, 62 to 79 its
-- testing_test, 80 to 140 its gen_test and concurrent_test, 141 to 152 its
-- locks_test, queues_test and process_test, 153 to 160 PyZMQ's test_ioloop, 168
-- to 201 its test_future, test_asyncio and the green ones, 250 to 312 those of
-- polling, sockets, contexts, frames and patterns. The test that proves one quotes
-- its number in brackets, at the end of its title ("... [12]") or, in C, at the
-- begin of its comment. Here is which have no such test, and why.

-- Tests that do not apply here.
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
  [176] = "recv_json: one function of a codec on what recv returns",
  [178] = "recv_pyobj: the same",
  [179] = "recv_serialized: the same",
  [180] = "recv_serialized of bad data: the same",
  [185] = "recv_into: Lua has no buffers to receive into",
  [189] = "a second object for the same socket: a green socket is one of zmqloop.zmq already",
  [191] = "draft types: the same sockets under other names",
  [254] = "select(): the Poller does it",
  [259] = "bind and connect as scopes that undo them: they return true, as the rest does",
  [262] = "addresses as text and as bytes: a string is both",
  [270] = "sending text: the same",
  [274] = "options as attributes of sockets: set() and get()",
  [280] = "copies and shadows of sockets: borrow_socket() is for streams",
  [281] = "kinds of buffers: a string, and Frames [304]",
  [283] = "a message of more than 2 GiB: it takes more memory than tests should",
  [284] = "send_serialized() of sockets: streams have it",
  [285] = "dir() and mocks: Lua's tables have them by themselves",
  [291] = "subclasses of contexts and of sockets: there are none",
}

-- number -> where it is quoted
local function quoted_numbers()
  local quoted = {}
  local pipe = assert(io.popen("ls spec/*.lua spec/*/*.lua csrc/test/*.c"))
  for path in pipe:lines() do
    local pattern = path:find("%.c$") and "^/%* %[(%d[%d, ]*)%]" or " %[(%d[%d, %[%]]*)%]\""
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
  local function check(number)
    local why = meaningless[number]
    if why then
      assert.is_nil(quoted[number], ("[%d] is left out here (%s), yet quoted in %s"):format(
        number, why, tostring(quoted[number])))
    else
      assert.is_string(quoted[number], ("no test quotes [%d]"):format(number))
    end
  end

  it("are all quoted, but for those that are left out for a reason", function()
    for number = 1, 160 do check(number) end
    for number = 168, 201 do check(number) end
    for number = 250, 312 do check(number) end
  end)
end)
