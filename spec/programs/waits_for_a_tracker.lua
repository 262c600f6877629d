-- Waits for a message that nobody receives.
local push = zmqloop.zmq.Context():socket("PUSH", {linger = 0, connect = "inproc://nobody"})
local tracker = push:send("data", {track = true})
print("ready")
print(pcall(tracker.wait, tracker))
