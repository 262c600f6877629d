/* stream_recv.h - receiving, also used by LuaJIT's compiled path.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_STREAM_RECV_H
#define ZLUA_STREAM_RECV_H

#include "stream.h"

int zlua_call_recv(lua_State *L, void *handle);
void zlua_stream_make_room(lua_State *L);

#endif /* ZLUA_STREAM_RECV_H */
