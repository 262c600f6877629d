--- zmqloop.async.message_owner: which task owns a message that a green socket moves in parts.
-- Internal: programs do not require it, and it may change at any time.
-- Others wait until that message ends. Whether a message has begun is the socket's state in C
-- (core.message_begun); its owner, as returned by task.who_runs(), is in the socket's fields
-- `sender` and `receiver`. libzmq gets a message only with its last part, so an owner that ends
-- early leaves nothing behind that would become part of the next message.
local core = require("zmqloop.core")
local task = require("zmqloop.async.task")

local pairs_of = pairs -- not by its name, see "LuaJIT's path" in docs/binding.md
local IOLoop = core.IOLoop
local is_over, task_of = task.is_over, task.task_of

-- An owner that is not a task cannot notify anyone when it ends: it is checked after this many
-- seconds.
local AGAIN_SECONDS = 0.005

local function is_begun(socket, side)
  local sends, receives = core.message_begun(socket)
  if side == "sender" then
    return sends
  end
  return receives
end

local function release(socket)
  for watch in pairs_of(socket.held_up) do
    watch:go_on()
    socket.held_up[watch] = nil
  end
  socket.held_up = false
end

-- Never raises, since something was received or sent just before. If there is no memory even for
-- these calls, tries twice, since some may be free again; after that the next task that waits for
-- the socket, or the end of the owner, lets the others go on.
local function let_go(socket)
  return pcall(release, socket) or pcall(release, socket)
end

--- Frees the side of the socket, and lets tasks that were held up try again.
local function free(socket, side)
  socket[side] = false
  if socket.held_up then
    let_go(socket)
  end
end

--- Called after a part was sent or received for `who`, which owns the side until the message ends.
local function note(socket, side, who)
  if is_begun(socket, side) then
    socket[side] = who
  elseif socket[side] then
    free(socket, side)
  end
end

--- Whether `who` owns the side and the message has not ended.
local function is_mine(socket, side, who)
  return socket[side] == who and is_begun(socket, side)
end

-- Nothing else would report that the message was not sent.
local function report(who, count)
  local ended = task_of(who)
  if ended and ended.state ~= "result" then
    return
  end
  local loop = ended and not ended.loop:closed() and ended.loop or IOLoop.current()
  local text = ("EFSM: a task or callback sent the first %d parts of a message and ended before "
    .. "the last; nothing of it was sent"):format(count)
  loop:add_callback(core.callback_error, loop, ended and ended.fn or report, text, text)
end

-- The owner has ended in the middle of its message. If it returned, the rest of a received message
-- belongs to the next caller that asks for a part. The rest is dropped if the owner failed, or if
-- the caller wants a whole message, for which it would be mistaken.
local function inherit(socket, side, is_whole)
  local who = socket[side]
  if side == "sender" then
    report(who, core.abandon_message(socket))
  else
    local ended = task_of(who)
    if is_whole or ended and ended.state ~= "result" then
      core.skip_message(socket)
    end
  end
  free(socket, side)
end

--- Whether the side has an owner other than `who`, the caller. is_whole: the caller wants to
-- receive a whole message.
local function is_held(socket, side, who, is_whole)
  local current = socket[side]
  if not current then
    return false
  elseif not is_begun(socket, side) then
    free(socket, side)
  elseif current == who then
    return false
  elseif is_over(current) then
    inherit(socket, side, is_whole)
  end
  return socket[side] and true
end

--- Calls watch:go_on() when the side may be free.
local function wait_for(socket, side, watch)
  local who = socket[side]
  local owner = task_of(who)
  socket.held_up = socket.held_up or {}
  socket.held_up[watch] = true
  if owner then
    owner:subscribe(watch.loop, function()
      if socket.held_up then
        watch:go_on()
      end
    end, false)
  elseif who ~= 0 then
    watch.loop:call_later(AGAIN_SECONDS, watch.go_on, watch)
  end
end

--- Abandons the message that is being sent: nothing of it was sent.
local function abandon(socket)
  if not socket:closed() then
    core.abandon_message(socket)
  end
  free(socket, "sender")
end

return {
  note = note,
  is_mine = is_mine,
  is_held = is_held,
  free = free,
  wait_for = wait_for,
  abandon = abandon,
}
