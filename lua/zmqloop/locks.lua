--- zmqloop.locks: the name by which programs require zmqloop.async.locks.
return require("zmqloop.async.locks")
