-- Mistakes that users make, and the errors they get: at their own line, what was wrong, what was
-- passed, and what to do. Each program is the file user.lua.
local helper = require("spec.helper")
local test = helper.test
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local zmq = zmqloop.zmq

-- {program, message}; the program's names are those of new_environment().
local mistakes = {
  -- '.' for ':'
  {"stream.on_recv(print)",
    "1: bad self to 'on_recv' (ZMQStream expected, got function); call it with ':', "
    .. "as object:on_recv()"},
  {"stream.send('hello')",
    "1: bad self to 'send' (ZMQStream expected, got string); call it with ':', as object:send()"},
  {"stream.bind('inproc://a')",
    "1: bad self to 'bind' (ZMQStream expected, got string); call it with ':', as object:bind()"},
  {"stream.send_json({})",
    "1: bad self to 'send_json' (ZMQStream expected, got table); call it with ':', "
    .. "as object:send_json()"},
  {"loop.start()",
    "1: bad self to 'start' (IOLoop expected, got no value); call it with ':', as object:start()"},
  {"loop.spawn(print)",
    "1: bad self to 'spawn' (IOLoop expected, got function); call it with ':', as object:spawn()"},
  {"loop.run_sync(print)",
    "1: bad self to 'run_sync' (IOLoop expected, got function); call it with ':', "
    .. "as object:run_sync()"},
  {"loop.make_current()",
    "1: bad self to 'make_current' (IOLoop expected, got nil); call it with ':', "
    .. "as object:make_current()"},
  {"socket.connect('inproc://a')",
    "1: bad self to 'connect' (socket expected, got string); call it with ':', "
    .. "as object:connect()"},
  {"socket.subscribe('topic')",
    "1: bad self to 'subscribe' (socket expected, got string); call it with ':', "
    .. "as object:subscribe()"},
  {"context.socket('REP')",
    "1: bad self to 'socket' (Context expected, got string); call it with ':', "
    .. "as object:socket()"},
  {"periodic.start()",
    "1: bad self to 'start' (PeriodicCallback expected, got nil); call it with ':', "
    .. "as object:start()"},
  {"queue.put({1, 2})",
    "1: bad self to 'put' (Queue expected, got table); call it with ':', as object:put()"},
  {"lock.acquire()",
    "1: bad self to 'acquire' (Semaphore expected, got nil); call it with ':', "
    .. "as object:acquire()"},
  {"event.wait()",
    "1: bad self to 'wait' (Event expected, got nil); call it with ':', as object:wait()"},
  {"future.await()",
    "1: bad self to 'await' (Future expected, got nil); call it with ':', as object:await()"},
  {"future.set_result({})",
    "1: bad self to 'set_result' (Future expected, got table); call it with ':', "
    .. "as object:set_result()"},
  {"green_socket.recv()",
    "1: bad self to 'recv' (socket expected, got nil); call it with ':', as object:recv()"},
  {"zmqloop.shield(future).cancel()",
    "1: bad self to 'cancel' (Future expected, got nil); call it with ':', as object:cancel()"},
  {"stream.cancel()",
    "1: bad self to 'cancel' (ZMQStream expected, got nil); call it with ':', as object:cancel()"},
  {"stream.messages()",
    "1: bad self to 'messages' (ZMQStream expected, got nil); call it with ':', "
    .. "as object:messages()"},
  {"stream.send_wait('a')",
    "1: bad self to 'send_wait' (ZMQStream expected, got string); call it with ':', "
    .. "as object:send_wait()"},
  {"socket.bind_to_random_port('tcp://127.0.0.1')",
    "1: bad self to 'bind_to_random_port' (socket expected, got string); call it with ':', "
    .. "as object:bind_to_random_port()"},
  {"poller.register(1)",
    "1: bad self to 'register' (Poller expected, got number); call it with ':', "
    .. "as object:register()"},

  -- the result of a call in place of a function
  {"local function handler() end\nstream:on_recv(handler())",
    "2: bad argument #1 to 'on_recv' (function or callable expected, got no value; nil unsets it)"},
  {"stream:on_send()",
    "1: bad argument #1 to 'on_send' (function or callable expected, got no value; nil unsets it)"},
  {"stream:on_error()",
    "1: bad argument #1 to 'on_error' (function or callable expected, got no value; "
    .. "nil unsets it)"},
  {"stream:set_close_callback()",
    "1: bad argument #1 to 'set_close_callback' (function or callable expected, got no value; "
    .. "nil unsets it)"},
  {"loop:on_error()",
    "1: bad argument #1 to 'on_error' (function or callable expected, got no value; "
    .. "nil unsets it)"},
  {"loop:call_later(1, tostring(5))",
    "1: bad argument #2 to 'call_later' (function or callable expected, got string)"},
  {"loop:add_callback(nil)",
    "1: bad argument #1 to 'add_callback' (function or callable expected, got nil)"},
  {"zmqloop.spawn(nil)",
    "1: bad argument #1 to 'spawn' (function or callable expected, got nil)"},

  -- names
  {"context:socket('DEALR')",
    "1: bad argument #1 to 'socket' (unknown type 'DEALR'; did you mean 'DEALER'?)"},
  {"context:socket('router_')",
    "1: bad argument #1 to 'socket' (unknown type 'router_'; did you mean 'ROUTER'?)"},
  {"context:socket('SUB', {LINGER = 0})",
    "1: bad argument #2 to 'socket' (unknown option 'LINGER'; did you mean 'linger'?)"},
  {"context:socket('SUB', {suscribe = 'a'})",
    "1: bad argument #2 to 'socket' (unknown option 'suscribe'; did you mean 'subscribe'?)"},
  {"socket:set('linget', 0)",
    "1: bad argument #1 to 'set' (unknown option 'linget'; did you mean 'linger'?)"},
  {"stream:on_recv(print, {cpy = false})",
    "1: bad argument #2 to 'on_recv' (unknown option 'cpy'; did you mean 'copy'?)"},
  {"stream:send('a', {trak = true})",
    "1: bad argument #2 to 'send' (unknown option 'trak'; did you mean 'track'?)"},
  {"zmqloop.PeriodicCallback(print, 5, {jiter = 0.1})",
    "1: bad argument #3 to 'PeriodicCallback' (unknown option 'jiter'; did you mean 'jitter'?)"},
  {"zmqloop.IOLoop{clok = 'virtual'}",
    "1: bad argument #1 to 'IOLoop' (unknown option 'clok'; did you mean 'clock'?)"},
  {"socket:bind_to_random_port('tcp://127.0.0.1', {Min = 5000})",
    "1: bad argument #2 to 'bind_to_random_port' (unknown option 'Min'; did you mean 'min'?)"},
  {"socket:monitor(print, {'CONECTED'})",
    "1: bad argument #2 to 'monitor' (unknown event 'CONECTED'; did you mean 'CONNECTED'?)"},
  {"loop:add_signal_handler('TREM', print)",
    "1: bad argument #1 to 'add_signal_handler' (no signal 'TREM')"},

  -- what has failed before
  {"zmqloop.ZMQStream(nil, 'EADDRINUSE: address already in use (tcp://127.0.0.1:5555)', "
    .. "'EADDRINUSE')",
    "1: bad argument #1 to 'ZMQStream' (zmq socket expected, got nil, "
    .. "\"EADDRINUSE: address already in use (tcp://127.0.0.1:5555)\")"},
  {"zmqloop.ZMQStream(5)",
    "1: bad argument #1 to 'ZMQStream' (zmq socket expected, got number)"},
  {"zmqloop.ZMQStream(closed)",
    "1: socket is closed"},
  {"zmqloop.ZMQStream(taken)",
    "1: bad argument #1 to 'ZMQStream' (socket is already registered)"},

  -- types and values
  {"socket:subscribe(nil)",
    "1: bad argument #1 to 'subscribe' (string or list of strings expected, got nil)"},
  {"context:socket('SUB', {linger = 'no'})",
    "1: bad argument #2 to 'socket' (option 'linger': integer expected, got string)"},
  {"stream:send(nil)",
    "1: bad argument #1 to 'send' (string or Frame expected, got nil)"},
  {"stream:send_multipart({'a', {}, 'b'})",
    "1: bad argument #1 to 'send_multipart' (frame 2: string or Frame expected, got table)"},
  {"zmqloop.Queue('3')",
    "1: bad argument #1 to 'Queue' (number not below 0 expected, got string)"},
  {"zmqloop.Queue(-3)",
    "1: bad argument #1 to 'Queue' (number not below 0 expected, got -3)"},
  {"zmqloop.Semaphore(0/0)",
    "1: bad argument #1 to 'Semaphore' (integer not below 0 expected, got NaN)"},
  {"zmqloop.PeriodicCallback(print, 0/0)",
    "1: bad argument #2 to 'PeriodicCallback' (number of milliseconds expected, got NaN)"},
  {"zmqloop.PeriodicCallback(print, 0)",
    "1: Periodic callback must have a positive callback_time"},
  {"event:wait(0/0)",
    "1: bad argument #1 to 'wait' (number of seconds expected, got NaN)"},
  {"priority:put_nowait('a')\npriority:put_nowait({})",
    "2: attempt to compare table with string; PriorityQueue(maxsize, before) orders others"},
  {"zmqloop.with_timeout(future, 5)",
    "1: bad argument #1 to 'with_timeout' (number of seconds expected, got table)"},
  {"zmqloop.gather(future)",
    "1: bad argument #1 to 'gather' (table of futures expected, got table)"},

  -- at the wrong time or place
  {"zmqloop.sleep(1)",
    "1: sleep: only inside a task; start it with loop:spawn()"},
  {"local queue = zmqloop.Queue() queue:join()",
    "1: join: only inside a task; start it with loop:spawn()"},
  {"future:await()",
    "1: await: only inside a task; start it with loop:spawn()"},
  {"future:set_result(1)\nfuture:set_result(2)",
    "2: future is done already"},
  {"future:result()",
    "1: future is not done"},
  {"local task = loop:spawn(print)\ntask:set_result(5)",
    "2: set_result: the result of a task is what its function returns"},
  {"lock:release()",
    "1: Lock released too many times"},
  {"queue:task_done()",
    "1: task_done() called too many times"},
  {"stream:close()\nstream:send('a')",
    "2: stream is closed"},
  {"closed:send('a')",
    "1: socket is closed"},
  {"done:socket('PULL')",
    "1: context is closed"},
  {"local function once()\n  loop:add_handler(socket, print, 'r')\nend\nonce()\nonce()",
    "2: bad argument #1 to 'add_handler' (socket is already registered)"},
  {"subscriber:recv()",
    "1: this SUB has no subscription and would wait for ever; "
    .. "socket:subscribe(\"\") takes all messages"},
  {"poller:modify(socket, 1)",
    "1: bad argument #1 to 'modify' (not registered)"},
}

-- What the programs find; made anew for each.
local function new_environment(t)
  local context = t:keep(zmq.Context(), "destroy")
  local green_context = t:keep(green.Context(), "destroy")
  local closed, done = context:socket("PUSH"), zmq.Context()
  closed:close()
  done:term()
  local taken = context:socket("PULL")
  local environment = {
    zmqloop = zmqloop, loop = t.loop, context = context, closed = closed, done = done,
    taken = taken, keeps = zmqloop.ZMQStream(taken, t.loop),
    stream = zmqloop.ZMQStream(context:socket("PAIR"), t.loop),
    socket = context:socket("PAIR"), subscriber = context:socket("SUB"),
    green_socket = green_context:socket("PAIR"),
    periodic = zmqloop.PeriodicCallback(print, 5), queue = zmqloop.Queue(),
    priority = zmqloop.PriorityQueue(), lock = zmqloop.Lock(), event = zmqloop.Event(),
    future = zmqloop.Future(t.loop), poller = zmq.Poller(),
  }
  return setmetatable(environment, {__index = _G})
end

local function load_program(text, environment)
  local setfenv = rawget(_G, "setfenv")
  if setfenv then
    return setfenv(assert(loadstring(text, "@user.lua")), environment) -- luacheck: ignore 113
  end
  return assert(load(text, "@user.lua", "t", environment))
end

describe("a mistake", function()
  after_each(helper.cleanup)

  for _, mistake in ipairs(mistakes) do
    local program, message = mistake[1], mistake[2]
    it("is told at the user's line: " .. program:gsub("\n", "; "), test(function(t)
      t.loop:make_current()
      local ok, err = pcall(load_program(program, new_environment(t)))
      zmqloop.IOLoop.clear_current()
      assert.is_false(ok)
      assert.equal("user.lua:" .. message, err)
    end))
  end

  it("is told at the user's line through functions that protect and repeat", test(function(t)
    local environment = new_environment(t)
    local _, err = load_program("local ok, err = pcall(stream.send, stream) return ok, err",
      environment)()
    assert.equal("user.lua:1: bad argument #1 to 'send' (string or Frame expected, got nil)", err)
    _, err = pcall(load_program("table.sort({1, 2}, function()\nstream:send()\nend)", environment))
    assert.equal("user.lua:2: bad argument #1 to 'send' (string or Frame expected, got nil)", err)
  end))

  it("is told at the user's line in a task and in a callback", test(function(t)
    local environment = new_environment(t)
    local task = t.loop:spawn(load_program("\nstream:send()", environment))
    local errors = {}
    t.loop:on_error(function(_, err) errors[#errors + 1] = err end)
    t.loop:add_callback(load_program("\n\nstream:send()", environment))
    t.loop:run()
    local expected = "bad argument #1 to 'send' (string or Frame expected, got nil)"
    assert.equal("user.lua:2: " .. expected, task:error())
    assert.same({"user.lua:3: " .. expected}, errors)
  end))

  it("in the type of a socket is told to be a draft where libzmq has none", test(function(t)
    if zmq.has("draft") then
      return
    end
    local _, err = pcall(t.ctx.socket, t.ctx, "SERVER")
    assert.matches("type 'SERVER' is a draft of libzmq, which was built without drafts", err, 1,
      true)
  end))
end)

describe("a mistake that raises no error", function()
  after_each(helper.cleanup)

  local NEVER_STARTED = "zmqloop: an IOLoop was never started, so nothing on it has run; "
    .. "call loop:start() or loop:run()\n"

  local function output_of(t, program)
    local output, status = t:run_child("local loop = new_loop() loop:make_current() " .. program)
    assert.equal(0, status, output)
    return output
  end

  it("is a loop that was never started", test(function(t)
    for _, program in ipairs{
      "loop:spawn(print)",
      "loop:call_later(1, print)",
      "loop:add_callback(print)",
      "zmqloop.ZMQStream(zmqloop.zmq.Context():socket('PULL')):on_recv(print)",
      "loop:add_signal_handler('USR1', print)",
    } do
      assert.equal(NEVER_STARTED, output_of(t, program), program)
    end
  end))

  it("is nothing where the loop has run, was closed, or has nothing to do", test(function(t)
    for _, program in ipairs{
      "loop:spawn(function() end) loop:run()",
      "loop:call_later(100, print) loop:step(0)",
      "loop:spawn(print) loop:close()",
      "zmqloop.ZMQStream(zmqloop.zmq.Context():socket('PULL'))",
    } do
      assert.equal("", output_of(t, program), program)
    end
  end))

  it("is a SUB that never had a subscription", test(function(t)
    local program = "local stream = zmqloop.ZMQStream(zmqloop.zmq.Context():socket('SUB')) "
      .. "stream:on_recv(print) loop:step(0) "
    assert.equal("zmqloop: a SUB has received nothing because it never subscribed; "
      .. "stream:subscribe(\"\") receives all messages\n", output_of(t, program))
    assert.equal("", output_of(t, program .. "stream:subscribe('a')"))
    assert.equal("", output_of(t, program .. "stream:close()"))
  end))

  it("is on_recv() of a socket that only sends", test(function(t)
    local told = "^zmqloop: %S+:2: on_recv: a PUSH only sends; a PULL receives what it has sent\n$"
    assert.matches(told, output_of(t, "local context = zmqloop.zmq.Context()\n"
      .. "local stream = zmqloop.ZMQStream(context:socket('PUSH')) stream:on_recv(print) "
      .. "stream:on_recv(print) stream:close()"))
  end))
end)

describe("texts of numbers", function()
  after_each(helper.cleanup)

  it("have a point, whatever the locale's is", test(function(t)
    local folder, source = t:tmpname(), t:tmpname()
    local file = assert(io.open(source, "w"))
    file:write('LC_NUMERIC\ndecimal_point ","\nthousands_sep ""\ngrouping -1\nEND LC_NUMERIC\n')
    file:close()
    os.execute(("mkdir %s && localedef -c -i %s -f UTF-8 %s/comma.UTF-8 2>/dev/null >&2"):format(
      helper.quote(folder), helper.quote(source), helper.quote(folder)))
    local output = t:run_child(helper.program("numbers_in_a_locale"), nil, nil,
      ("export LOCPATH=%s; "):format(helper.quote(folder)))
    os.execute("rm -rf " .. helper.quote(folder))
    if output == "no locale\n" then
      return -- this system makes none with a comma
    end
    assert.matches("after 0.02 seconds\nPeriodicCallback %(12.5 ms, stopped%)\n"
      .. "DelayedCallback %(12.5 ms, stopped%)\nIOLoop blocked for 0%.%d%d%d seconds", output)
  end))
end)
