/* socket_close.h - the three ways to close a socket.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SOCKET_CLOSE_H
#define ZLUA_SOCKET_CLOSE_H

#include "compat.h"

typedef struct zlua_socket zlua_socket;

void zlua_socket_close(lua_State *L, int index, const int *linger);
void zlua_socket_shut(zlua_socket *socket, const int *linger);
void zlua_socket_drop(zlua_socket *socket);
void zlua_socket_tell_closed(lua_State *L, int index);
void zlua_unmonitor(zlua_socket *monitored);

#endif /* ZLUA_SOCKET_CLOSE_H */
