/* wait.h - the clock, and waiting outside a loop.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_WAIT_H
#define ZLUA_WAIT_H

#include <zmq.h>

#include "compat.h"

int64_t zlua_monotonic_ns(void);
int64_t zlua_deadline_ns(int64_t started_ns, int64_t milliseconds);
int64_t zlua_milliseconds_left(int64_t deadline_ns, int64_t most);
int zlua_poll_until(lua_State *L, zmq_pollitem_t *items, int count,
                    int64_t deadline_ns);
int zlua_poll(lua_State *L, zmq_pollitem_t *items, int count, int64_t timeout);
int64_t zlua_check_timeout(lua_State *L, const char *method, int argument,
                           int index);
short zlua_check_poll_events(lua_State *L, const char *method, int argument,
                             int index);

#endif /* ZLUA_WAIT_H */
