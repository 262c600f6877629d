local zmq = require("zmqloop").zmq
local frame = zmq.Frame("some bytes")
print(#frame, frame:sub(1, 4)) --> 10	some
frame:close()
print(frame:closed()) --> true
