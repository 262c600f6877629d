/* inbox.h - frames on their way from libzmq to Lua.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_INBOX_H
#define ZLUA_INBOX_H

#include <zmq.h>

#include "compat.h"

/* Frames received from libzmq and not yet passed to Lua: an error in between
 * loses nothing. */
typedef struct zlua_inbox {
  zmq_msg_t *frames;
  int first;
  int count;
  int capacity;
  bool pushing; /* frames are being converted: closing must wait */
  bool more;    /* the last frame passed to Lua is not the last of its
                 * message */
  bool single;  /* the socket conflates: messages have one frame */
  bool broken;  /* a message had more: libzmq would abort if asked for the
                 * rest */
} zlua_inbox;

int zlua_inbox_fill(zlua_inbox *inbox, void *zmq, int flags, bool whole);
bool zlua_inbox_more(const zlua_inbox *inbox, void *zmq);
void zlua_inbox_skip(zlua_inbox *inbox, void *zmq);
void zlua_inbox_push_first(lua_State *L, zlua_inbox *inbox, bool copy);
void zlua_inbox_push_list(lua_State *L, zlua_inbox *inbox, bool copy);
void zlua_inbox_close(zlua_inbox *inbox);

#endif /* ZLUA_INBOX_H */
