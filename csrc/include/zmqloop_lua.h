/* zmqloop_lua.h - opens the Lua module inside a host.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZMQLOOP_LUA_H
#define ZMQLOOP_LUA_H

#include <lua.h>

#include "zmqloop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The lua_CFunction behind require("zmqloop.core"), on which the Lua modules
 * zmqloop, zmqloop.zmq, zmqloop.ioloop and zmqloop.zmqstream build. A host that
 * links the binding statically puts it into package.preload under that name.
 * Requiring it opens no descriptor, starts no thread and installs no signal
 * handler. Memory comes from the state's allocator. */
ZL_API int luaopen_zmqloop_core(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif /* ZMQLOOP_LUA_H */
