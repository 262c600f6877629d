-- Tests with green sockets, and pairs of them.
local helper = require("spec.helper")
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")

local fixture = {}

-- A test with a context whose sockets are green, and with its loop as the current one.
function fixture.test(body)
  return helper.test(function(t)
    local ctx = green.Context{linger = 0}
    t:keep{close = function() ctx:destroy(0) end}
    t.loop:make_current()
    t:keep{close = zmqloop.IOLoop.clear_current}
    rawset(t, "green", ctx)
    return body(t, t.loop, ctx)
  end)
end

-- Two green sockets, the first bound, the second connected.
function fixture.pair(t, bound, connected, options, transport)
  local a, b = t.green:socket(bound, options), t.green:socket(connected, options)
  assert(b:connect(t:bind(a, transport)))
  return a, b
end

-- Runs fn as a task, and the loop until it is done.
function fixture.run(t, fn)
  local first, second, third = t.loop:run_sync(fn, 5)
  t:raise_errors()
  return first, second, third
end

return fixture
