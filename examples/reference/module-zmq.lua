local zmq = require("zmqloop.zmq")
local major = zmq.version()
print(type(major), zmq.SNDMORE) --> number	2
