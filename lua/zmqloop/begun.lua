--- zmqloop.begun: who has begun a message on a green socket, and keeps others waiting till its end.
-- That a message was begun, part by part, the socket knows (core.message_begun); here is known by
-- whom: in the socket's fields `sender` and `receiver`, as task.who_runs() tells it. Nothing of a
-- message that is being sent is libzmq's before its last part. So who comes to an end in the middle
-- leaves nothing behind that another message could be glued to.
local core = require("zmqloop.core")
local task = require("zmqloop.task")

local IOLoop = core.IOLoop
local is_over, task_of = task.is_over, task.task_of

-- Who is not done, and no task that could tell, is asked again after so many seconds.
local AGAIN_SECONDS = 0.005

local function is_begun(socket, side)
  local sends, receives = core.message_begun(socket)
  if side == "sender" then
    return sends
  end
  return receives
end

local function release(socket)
  for watch in pairs(socket.held_up) do
    watch:go_on()
    socket.held_up[watch] = nil
  end
  socket.held_up = false
end

--- The side of the socket is free; has those try again who were held up. Raises nothing, since this
-- comes after what was received or sent: short of memory the next use of the socket does the rest.
local function free(socket, side)
  socket[side] = false
  if socket.held_up then
    pcall(release, socket)
  end
end

--- After a part was sent or received for `who`: the side is his as long as the message goes on.
local function note(socket, side, who)
  if is_begun(socket, side) then
    socket[side] = who
  elseif socket[side] then
    free(socket, side)
  end
end

--- Whether the side is his, and the message goes on.
local function is_mine(socket, side, who)
  return socket[side] == who and is_begun(socket, side)
end

-- Nobody else would tell that it was not sent.
local function report(who, count)
  local ended = task_of(who)
  if ended and ended.state ~= "result" then
    return
  end
  local loop = ended and not ended.loop:closed() and ended.loop or IOLoop.current()
  local text = ("EFSM: what has sent the first %d parts of a message has ended before the last; "
    .. "nothing of it was sent"):format(count)
  loop:add_callback(core.callback_error, loop, ended and ended.fn or report, text, text)
end

-- Its owner has come to an end in the middle. What is left of a message that was received goes to
-- whoever asks for a part next, if the owner has returned. It goes with one who has failed, and
-- where a whole message is wanted: there it would be taken for one.
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

--- Whether somebody else than who asks keeps the side. is_whole: a whole message is to be received.
local function is_held(socket, side, is_whole)
  local who = socket[side]
  if not who then
    return false
  elseif not is_begun(socket, side) then
    free(socket, side)
  elseif is_over(who) then
    inherit(socket, side, is_whole)
  end
  return socket[side] and true
end

--- Has watch:go_on() called when the side may be free.
local function wait_for(socket, side, watch)
  local who = socket[side]
  local owner = task_of(who)
  socket.held_up = socket.held_up or {}
  socket.held_up[watch] = true
  if owner then
    owner:subscribe(watch.loop, function()
      if socket[side] == who and socket.held_up then
        watch:go_on()
      end
    end, false)
  elseif who ~= 0 then
    watch.loop:call_later(AGAIN_SECONDS, watch.go_on, watch)
  end
end

--- The message that is being sent is given up: nothing of it was sent.
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
