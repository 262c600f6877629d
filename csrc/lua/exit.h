/* exit.h - ending contexts at the end of the state.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_EXIT_H
#define ZLUA_EXIT_H

#include "compat.h"

typedef struct zlua_exit zlua_exit;

zlua_exit *zlua_exit_of(lua_State *L);
void zlua_exit_hold(zlua_exit *exit);
void zlua_exit_release(zlua_exit *exit);
void zlua_exit_retire(zlua_exit *exit, void *zmq_context, bool lingers);
void zlua_stay_loaded(void);

#endif /* ZLUA_EXIT_H */
