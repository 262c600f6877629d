/* outgoing.c - the message on its way from Lua to libzmq.
 * SPDX-License-Identifier: MIT
 *
 * Strings are copied into libzmq's memory, frames share theirs. A send may
 * raise half-way, because of a signal handler; the next zlua_outgoing_fill()
 * discards what is left here. The handler may send too, so nothing may point
 * into the arrays while it runs.
 */
#include "outgoing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "compat.h"
#include "frame.h"
#include "send_options.h"
#include "tracker.h"

static int outgoing_reserve(zlua_frames *list, size_t count) {
  if (count <= list->capacity) {
    return 0;
  }
  if (count > SIZE_MAX / sizeof *list->frames) {
    return -ENOMEM;
  }
  zmq_msg_t *frames = realloc(list->frames, count * sizeof *frames);
  if (!frames) {
    return -ENOMEM;
  }
  list->frames = frames;
  list->capacity = count;
  return 0;
}

/* The message for the part at the top of the stack, which was checked, but a
 * finalizer may have closed or replaced it since. */
static int init_message(lua_State *L, zmq_msg_t *message) {
  zlua_frame *frame = zlua_test_frame(L, -1);
  if (frame) {
    (void)zmq_msg_init(message);
    return zmq_msg_copy(message, &frame->message) < 0 ? -ENOMEM : 0;
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    return -EINVAL;
  }
  size_t size;
  const char *data = lua_tolstring(L, -1, &size);
  if (zmq_msg_init_size(message, size) < 0) {
    return -ENOMEM;
  }
  memcpy(zmq_msg_data(message), data, size);
  return 0;
}

static int apply_options(zmq_msg_t *message, const zlua_send_options *options) {
  int rc = 0;
  if (options->routing_id != 0) {
    rc = zlua_set_routing_id(message, options->routing_id);
  }
  if (rc == 0 && options->group) {
    rc = zlua_set_group(message, options->group);
  }
  if (rc == 0 && options->tracking) {
    rc = zlua_tracking_wrap(options->tracking, message);
  }
  return rc;
}

/* Adds the part at the top of the stack. */
static int add_top(lua_State *L, zlua_frames *list,
                   const zlua_send_options *options) {
  zmq_msg_t *message = &list->frames[list->count];
  int rc = init_message(L, message);
  if (rc == 0) {
    list->count++;
    rc = apply_options(message, options);
  }
  return rc;
}

static void cut(zlua_frames *list, size_t count) {
  while (list->count > count) {
    (void)zmq_msg_close(&list->frames[--list->count]);
  }
}

static int add(lua_State *L, zlua_frames *list, int index, size_t count,
               const zlua_send_options *options) {
  bool is_list = lua_istable(L, index);
  size_t before = list->count;
  int rc = count > SIZE_MAX - before ? -ENOMEM
                                     : outgoing_reserve(list, before + count);
  for (size_t i = 1; i <= count && rc == 0; i++) {
    if (is_list) {
      lua_rawgeti(L, index, (int)i);
    } else {
      lua_pushvalue(L, index);
    }
    rc = add_top(L, list, options);
    lua_pop(L, 1);
  }
  if (rc < 0) {
    cut(list, before);
  }
  return rc;
}

int zlua_outgoing_add(lua_State *L, zlua_outgoing *it, int index, size_t count,
                      const zlua_send_options *options) {
  return add(L, &it->whole, index, count, options);
}

int zlua_outgoing_fill(lua_State *L, zlua_outgoing *it, int index, size_t count,
                       const zlua_send_options *options) {
  cut(&it->whole, 0);
  return add(L, &it->whole, index, count, options);
}

int zlua_outgoing_keep(lua_State *L, zlua_outgoing *it, int index, size_t count,
                       const zlua_send_options *options) {
  return add(L, &it->kept, index, count, options);
}

int zlua_outgoing_complete(zlua_outgoing *it) {
  zlua_frames *whole = &it->whole;
  cut(whole, 0);
  int rc = outgoing_reserve(whole, it->kept.count);
  for (size_t i = 0; i < it->kept.count && rc == 0; i++) {
    zmq_msg_t *copy = &whole->frames[whole->count++];
    (void)zmq_msg_init(copy);
    rc = zmq_msg_copy(copy, &it->kept.frames[i]) < 0 ? -ENOMEM : 0;
  }
  return rc;
}

void zlua_outgoing_pass(zlua_outgoing *it, int flags) {
  it->passed = (flags & ZMQ_SNDMORE) != 0;
}

void zlua_outgoing_cut(zlua_outgoing *it, size_t count) {
  cut(&it->whole, count);
}

void zlua_outgoing_cut_kept(zlua_outgoing *it, size_t count) {
  cut(&it->kept, count);
}

static void close_frames(zlua_frames *list) {
  cut(list, 0);
  free(list->frames);
  *list = (zlua_frames){0};
}

void zlua_outgoing_close(zlua_outgoing *it) {
  close_frames(&it->whole);
  close_frames(&it->kept);
}
