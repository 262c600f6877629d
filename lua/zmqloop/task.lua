--- zmqloop.task: the name by which programs require zmqloop.async.task.
return require("zmqloop.async.task")
