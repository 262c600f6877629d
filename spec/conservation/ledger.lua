-- The fate of the messages from one sender to one receiver. Each carries its number and has a shape
-- derived from it, so that the receiver knows what it must look like.
local Ledger = {}
Ledger.__index = Ledger

local HUGE, LARGE, SMALL = 70000, 2000, 40 -- bytes; of small ones, up to

local function new(id)
  return setmetatable({
    id = id,
    accepted = 0,  -- send() said so, to the messages 1 to this
    expected = 1,  -- the number that has to come next
    delivered = 0,
    discarded = 0, -- by a flush without a callback
    refused = 0,   -- by libzmq, when it was their turn
    killed = 0,    -- they were with libzmq when their receiver was killed
    closed = 0,    -- or closed
    unsent = nil,  -- the result of close()
  }, Ledger)
end

--- The frames of a message.
function Ledger:frames(number)
  local shape = (number * 7919 + self.id * 31) % 1009
  local size = shape % 101 == 0 and HUGE or shape % 13 == 0 and LARGE or shape % SMALL
  local frames = {("%d:%d"):format(self.id, number)}
  for i = 2, shape % 4 + 1 do
    frames[i] = ("%d "):format(i) .. ("x"):rep(size)
  end
  return frames
end

--- Reads the first frame of a message: id, number.
local function read(frame)
  local id, number = frame:match("^(%d+):(%d+)$")
  if not id then error("no message of ours: " .. frame:sub(1, 100), 0) end
  return tonumber(id), tonumber(number)
end

--- Returns the number of a message that has come, or raises if it is not what was sent.
function Ledger:check(frames)
  local id, number = read(frames[1])
  local sent = self:frames(number)
  if id ~= self.id or #frames ~= #sent then
    error(("link %d: got %d frames of message %d:%d"):format(self.id, #frames, id, number), 0)
  end
  for i = 1, #sent do
    if frames[i] ~= sent[i] then
      error(("link %d: frame %d of message %d differs"):format(self.id, i, number), 0)
    end
  end
  return number
end

--- A message has come, in order and once. What a kill may have cost comes before it.
function Ledger:deliver(number, excused)
  local missing = number - self.expected
  if missing < 0 or (missing > 0 and number - 1 > (excused or 0)) then
    error(("link %d: message %d came, but %d was next, and up to %d may be lost"):format(self.id,
      number, self.expected, excused or 0), 0)
  end
  self.killed = self.killed + missing
  self.expected = number + 1
  self.delivered = self.delivered + 1
end

--- Messages were read and discarded.
function Ledger:discard(count)
  self.expected = self.expected + count
  self.discarded = self.discarded + count
end

--- How many messages have yet to come.
function Ledger:missing()
  return self.accepted - (self.unsent or 0) - self.refused - self.delivered - self.discarded
    - self.killed - self.closed
end

function Ledger:__tostring()
  return ("link %d (accepted %d, delivered %d, unsent %s, missing %d)"):format(self.id,
    self.accepted, self.delivered, tostring(self.unsent), self:missing())
end

return {new = new, read = read}
