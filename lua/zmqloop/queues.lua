--- zmqloop.queues: the name by which programs require zmqloop.async.queues.
return require("zmqloop.async.queues")
