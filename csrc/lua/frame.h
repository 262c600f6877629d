/* frame.h - class Frame.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_FRAME_H
#define ZLUA_FRAME_H

#include <zmq.h>

#include "object.h"

typedef struct zlua_payload zlua_payload;

extern const zlua_class zlua_class_frame;

typedef struct zlua_frame {
  const zlua_class *class;
  zlua_payload *payload; /* the state's; counts this frame */
  bool open;
  zmq_msg_t message; /* if open */
} zlua_frame;

void zlua_frames_announce(lua_State *L, size_t bytes);
zlua_frame *zlua_new_frame(lua_State *L);
void zlua_frame_take(zlua_frame *frame, zmq_msg_t *message);
zlua_frame *zlua_test_frame(lua_State *L, int index);
void zlua_new_frames(lua_State *L, zmq_msg_t *messages, int count,
                     bool as_list);
void zlua_open_frames(lua_State *L, zmq_msg_t *messages, int count,
                      bool as_list);
int zlua_set_routing_id(zmq_msg_t *message, uint32_t routing_id);
int zlua_set_group(zmq_msg_t *message, const char *group);
void zlua_copy_address(zmq_msg_t *to, zmq_msg_t *from);

#endif /* ZLUA_FRAME_H */
