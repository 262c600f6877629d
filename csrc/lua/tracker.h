/* tracker.h - class Tracker.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_TRACKER_H
#define ZLUA_TRACKER_H

#include <zmq.h>

#include "object.h"

typedef struct zlua_tracking zlua_tracking;

extern const zlua_class zlua_class_tracker;
zlua_tracking *zlua_new_tracker(lua_State *L);
int zlua_tracking_wrap(zlua_tracking *tracking, zmq_msg_t *message);

#endif /* ZLUA_TRACKER_H */
