-- Twenty wrong uses of zmqloop. An editor with lua-language-server must mark each line that ends
-- with `--> NAME`, by the diagnostic of that name, and no other. Checked by scripts/types.
local zmqloop = require("zmqloop")
local green = require("zmqloop.green")
local testing = require("zmqloop.testing")

local zmq = zmqloop.zmq
local loop = zmqloop.IOLoop.instance()
local context = zmq.Context.instance()
local socket = assert(context:socket("REP"))
local stream = assert(zmqloop.ZMQStream(socket, loop))

-- names that do not exist
loop:add_calback(print) --> undefined-field
stream:on_receive(print) --> undefined-field
zmqloop.spwan(print) --> undefined-field
print(zmq.DONT_WAIT) --> undefined-field
print(green.Sockets) --> undefined-field
print(testing.asynch) --> undefined-field

-- arguments of the wrong type
loop:call_later("1", print) --> param-type-mismatch
loop:remove_timeout(5) --> param-type-mismatch
stream:set_batch("many") --> param-type-mismatch
stream:send(42) --> param-type-mismatch
stream:send_multipart("one frame") --> param-type-mismatch
stream:drain("2") --> param-type-mismatch
zmqloop.sleep("1") --> param-type-mismatch
zmqloop.with_timeout(stream, 5) --> param-type-mismatch
context:socket({}) --> param-type-mismatch
socket:poll("1") --> param-type-mismatch

-- too few, or too many
loop:call_later(1) --> missing-parameter
stream:send() --> missing-parameter
loop:stop(1) --> redundant-parameter
zmqloop.gather() --> missing-parameter
