-- Sockets that wait for names of inproc, on which libzmq aborted. Arguments: the case, how its
-- context ends.
local case, how = ...
local zmq = zmqloop.zmq
local ctx = zmq.Context{linger = 0}

local function refused(ok, message, name)
  assert(ok == nil and name == "ENOCOMPATPROTO" and message:find("inproc://x", 1, true))
end

local function waits(kind, context, options)
  local socket = (context or ctx):socket(kind, options)
  assert(socket:connect("inproc://x"))
  return socket
end

local cases = {}

function cases.routing_id()
  for _, kind in ipairs{"ROUTER", "REP"} do
    local first, second = waits("DEALER"), waits(kind)
    refused(ctx:socket("PAIR"):bind("inproc://x"))
    local router = ctx:socket("ROUTER")
    assert(router:bind("inproc://x")) -- takes both
    assert(router:unbind("inproc://x"))
    first, second = waits(kind), waits("DEALER")
    local pair = ctx:socket("PAIR")
    assert(pair:bind("inproc://x") and pair:unbind("inproc://x"))
    first, second = waits("DEALER"), waits(kind)
    second:close() -- wants nothing any more
    assert(pair:bind("inproc://x") and pair:unbind("inproc://x"))
    waits(kind)
    assert(ctx:socket("PAIR"):bind("inproc://x")) -- the only one
    ctx:destroy(0)
    ctx = zmq.Context{linger = 0}
  end
end

function cases.borrowed()
  local borrowed = zmq.Context(ctx:handle())
  local again = zmq.Context(borrowed:handle())
  local first, second = waits("DEALER", again), waits("ROUTER", borrowed)
  refused(ctx:socket("PAIR"):bind("inproc://x"))
  refused(again:socket("PAIR"):bind("inproc://x"))
  first:close()
  second:close()
  assert(borrowed:destroy() and again:destroy())
  assert(ctx:destroy(0))
end

function cases.disconnected()
  local router = waits("ROUTER")
  assert(router:disconnect("inproc://x"))
  for _, kind in ipairs{"DEALER", "PAIR", "PULL"} do
    refused(ctx:socket(kind):bind("inproc://x"))
  end
  router:close()
  assert(ctx:socket("DEALER"):bind("inproc://x"))
  ctx:destroy(0)
end

function cases.greeting()
  waits("SUB"):close()
  local _ = waits("SUB", ctx, {subscribe = ""})
  local xpub = ctx:socket("XPUB", {xpub_welcome_msg = "hello"})
  refused(xpub:bind("inproc://x"))
  assert(xpub:set("xpub_welcome_msg", ""))
  assert(xpub:bind("inproc://x"))
  ctx:destroy(0)
end

function cases.closed_sender()
  local push = waits("PUSH")
  push:send("x")
  push:close()
  assert(ctx:socket("PULL", {bind = "inproc://x"}):recv() == "x")
  ctx:destroy(0)
end

function cases.used_up()
  ctx = zmq.Context{max_sockets = 2, linger = 0}
  waits("PUSH"):close()
  for _ = 1, 100 do -- closed sockets that wait have their place for good
    local socket, _, name = ctx:socket("ROUTER")
    if not socket then assert(name == "EMFILE") break end
    socket:connect("inproc://x")
  end
  if how == "term" then
    collectgarbage()
    collectgarbage()
    assert(ctx:term())
  elseif how == "destroy" then
    assert(ctx:destroy(0))
  elseif how == "shutdown" then
    assert(ctx:shutdown() and ctx:destroy(0))
  elseif how == "collect" then
    ctx = nil
    collectgarbage()
    collectgarbage()
  end
end

function cases.one_socket_fewer()
  ctx = zmq.Context{max_sockets = 1, linger = 0}
  local push = ctx:socket("PUSH")
  local _, _, name = push:connect("inproc://x")
  assert(name == "EMFILE")
  push:close()
  assert(ctx:term())
end

cases[case]()
print("survived")
