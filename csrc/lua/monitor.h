/* monitor.h - sockets that get the events of others.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_MONITOR_H
#define ZLUA_MONITOR_H

#include "compat.h"

typedef struct zlua_socket zlua_socket;

void zlua_monitor_stop(zlua_socket *socket);
void zlua_monitor_close(zlua_socket *socket);
int zlua_socket_disable_monitor(lua_State *L);

#endif /* ZLUA_MONITOR_H */
