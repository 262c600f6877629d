--- zmqloop.callbacks: the former name of zmqloop.periodic.
return require("zmqloop.periodic")
