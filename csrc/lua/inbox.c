/* inbox.c - frames on their way from a socket into Lua.
 * SPDX-License-Identifier: MIT
 *
 * Making a Lua string may raise. A frame stays here until its string exists, so
 * that it is neither lost nor leaked: the next receive returns it.
 */
#include "inbox.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <zmq.h>

#include "compat.h"
#include "frame.h"

enum { FIRST_FRAMES = 4 };

static int inbox_reserve(zlua_inbox *inbox) {
  if (inbox->count < inbox->capacity) {
    return 0;
  }
  if (inbox->capacity > INT_MAX / 2) {
    return -ENOMEM;
  }
  int capacity = inbox->capacity ? inbox->capacity * 2 : FIRST_FRAMES;
  zmq_msg_t *frames = realloc(inbox->frames, (size_t)capacity * sizeof *frames);
  if (!frames) {
    return -ENOMEM;
  }
  inbox->frames = frames;
  inbox->capacity = capacity;
  return 0;
}

/* Receives one more frame. Returns 0 or an error. */
static int receive(zlua_inbox *inbox, void *zmq, int flags) {
  int rc = inbox->broken ? -EPROTO : inbox_reserve(inbox);
  if (rc < 0) {
    return rc;
  }
  zmq_msg_t *frame = &inbox->frames[inbox->count];
  (void)zmq_msg_init(frame);
  if (zmq_msg_recv(frame, zmq, flags) < 0) {
    rc = -zmq_errno();
    (void)zmq_msg_close(frame);
    return rc;
  }
  inbox->broken = inbox->single && zmq_msg_more(frame);
  if (inbox->broken) {
    (void)zmq_msg_close(frame);
    return -EPROTO;
  }
  inbox->count++;
  return 0;
}

/* Makes sure that there is a frame, or with `whole` the rest of its message.
 * Returns 0 or an error; frames already received stay. */
int zlua_inbox_fill(zlua_inbox *inbox, void *zmq, int flags, bool whole) {
  while (inbox->first == inbox->count ||
         (whole && zmq_msg_more(&inbox->frames[inbox->count - 1]))) {
    int rc = receive(inbox, zmq, flags);
    if (rc < 0) {
      return rc;
    }
  }
  return 0;
}

/* Does nothing if a finalizer has taken the frame. */
static void take(zlua_inbox *inbox) {
  if (inbox->first == inbox->count) {
    return;
  }
  (void)zmq_msg_close(&inbox->frames[inbox->first]);
  inbox->first++;
  if (inbox->first == inbox->count) {
    inbox->first = 0;
    inbox->count = 0;
  }
}

static void push_string(lua_State *L, zmq_msg_t *frame) {
  lua_pushlstring(L, zmq_msg_data(frame), zmq_msg_size(frame));
}

static void push_frames(lua_State *L, zlua_inbox *inbox, int count,
                        bool as_list) {
  zmq_msg_t *frames = &inbox->frames[inbox->first];
  zlua_new_frames(L, frames, count, as_list);
  zlua_open_frames(L, frames, count, as_list);
}

/* Is the last frame that Lua received in the middle of its message? If no
 * frames are held here, libzmq is asked, since other code may have received
 * from the socket. */
bool zlua_inbox_more(const zlua_inbox *inbox, void *zmq) {
  int more = 0;
  size_t size = sizeof more;
  if (inbox->first < inbox->count) {
    return inbox->more;
  }
  return zmq_getsockopt(zmq, ZMQ_RCVMORE, &more, &size) == 0 && more != 0;
}

/* Discards the rest of the message that Lua has begun to receive. All of it is
 * there: libzmq delivers no part of a message before it has all of it. */
void zlua_inbox_skip(zlua_inbox *inbox, void *zmq) {
  while (zlua_inbox_more(inbox, zmq) &&
         zlua_inbox_fill(inbox, zmq, ZMQ_DONTWAIT, false) == 0) {
    inbox->more = zmq_msg_more(&inbox->frames[inbox->first]) != 0;
    take(inbox);
  }
}

/* [-0, +1] pushes the first frame, as a string or a Frame. */
void zlua_inbox_push_first(lua_State *L, zlua_inbox *inbox, bool copy) {
  bool more = zmq_msg_more(&inbox->frames[inbox->first]) != 0;
  inbox->pushing = true;
  if (copy) {
    push_string(L, &inbox->frames[inbox->first]);
  } else {
    push_frames(L, inbox, 1, false);
  }
  take(inbox);
  inbox->more = more;
  inbox->pushing = false;
}

/* [-0, +1] pushes the list of all frames. */
void zlua_inbox_push_list(lua_State *L, zlua_inbox *inbox, bool copy) {
  int count = inbox->count - inbox->first;
  inbox->pushing = true;
  if (copy) {
    lua_createtable(L, count, 0);
    for (int i = 0; i < count; i++) {
      push_string(L, &inbox->frames[inbox->first + i]);
      lua_rawseti(L, -2, i + 1);
    }
  } else {
    push_frames(L, inbox, count, true);
  }
  for (int i = 0; i < count; i++) {
    take(inbox);
  }
  inbox->more = false;
  inbox->pushing = false;
}

/* Called when the socket is closed. In a finalizer that runs while frames are
 * being converted, the frames must stay: the socket's own finalizer releases
 * them. */
void zlua_inbox_close(zlua_inbox *inbox) {
  if (inbox->pushing) {
    return;
  }
  while (inbox->first < inbox->count) {
    take(inbox);
  }
  free(inbox->frames);
  *inbox = (zlua_inbox){0};
}
