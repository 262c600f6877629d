-- Frames: one that libzmq allocates, and what a list of them holds.
local fixture = {}

-- Longer than what libzmq keeps inside a message.
fixture.LONG = ("0123456789"):rep(100)

function fixture.data_of(frames)
  local data = {}
  for i, frame in ipairs(frames) do data[i] = frame:data() end
  return data
end

-- Whether a module of the build is there.
function fixture.has_module(name)
  return (pcall(require, name))
end

return fixture
