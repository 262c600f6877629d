local testing = require("zmqloop.testing")
-- With busted: it("waits an hour", testing.async(function(t) ... end, {clock = "virtual"}))
local test = testing.async(function(t)
  t.loop:call_later(4, t.stop, t, "four seconds that nobody waited")
  print(t:wait()) --> four seconds that nobody waited
end, {clock = "virtual"})
test()
