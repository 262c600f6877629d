/* open.h - the parts of the module that module.c opens.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_OPEN_H
#define ZLUA_OPEN_H

#include "compat.h"

void zlua_open_exit(lua_State *L);
void zlua_open_constants(lua_State *L);
void zlua_open_spelling(lua_State *L);
void zlua_open_argument(lua_State *L);
void zlua_open_object(lua_State *L);
void zlua_open_trace(lua_State *L);
void zlua_open_text(lua_State *L);
void zlua_open_context_life(lua_State *L);
void zlua_open_socket_life(lua_State *L);
void zlua_open_socket_close(lua_State *L);
void zlua_open_socket_address(lua_State *L);
void zlua_open_socket_send(lua_State *L);
void zlua_open_socket_recv(lua_State *L);
void zlua_open_options(lua_State *L);
void zlua_open_option_value(lua_State *L);
void zlua_open_monitor(lua_State *L);
void zlua_open_poller(lua_State *L);
void zlua_open_proxy(lua_State *L);
void zlua_open_curve(lua_State *L);
void zlua_open_calls(lua_State *L);
void zlua_open_slot(lua_State *L);
void zlua_open_entry(lua_State *L);
void zlua_open_report(lua_State *L);
void zlua_open_call(lua_State *L);
void zlua_open_loop(lua_State *L);
void zlua_open_ending(lua_State *L);
void zlua_open_ioloop(lua_State *L);
void zlua_open_callback(lua_State *L);
void zlua_open_timer(lua_State *L);
void zlua_open_handler(lua_State *L);
void zlua_open_block_hook(lua_State *L);
void zlua_open_blocked(lua_State *L);
void zlua_open_signal(lua_State *L);
void zlua_open_stream_life(lua_State *L);
void zlua_open_stream_close(lua_State *L);
void zlua_open_stream_notice(lua_State *L);
void zlua_open_stream_recv(lua_State *L);
void zlua_open_stream_send(lua_State *L);
void zlua_open_stream_jit(lua_State *L);
void zlua_open_testing(lua_State *L);
void zlua_open_frame(lua_State *L);
void zlua_open_tracker(lua_State *L);
void zlua_open_source(lua_State *L);

#endif /* ZLUA_OPEN_H */
