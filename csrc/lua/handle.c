/* handle.c - the handles of a loop, and which of them it keeps alive.
 * SPDX-License-Identifier: MIT
 */
#include "handle.h"

#include "compat.h"
#include "loop.h"

/* From now on the handle has a core handle. */
void zlua_link(zlua_loop *loop, zlua_handle *handle) {
  handle->loop = loop;
  handle->previous = NULL;
  handle->next = loop->handles;
  if (loop->handles) {
    loop->handles->previous = handle;
  }
  loop->handles = handle;
}

void zlua_unlink(zlua_handle *handle) {
  if (!handle->loop) {
    return;
  }
  if (handle->previous) {
    handle->previous->next = handle->next;
  } else {
    handle->loop->handles = handle->next;
  }
  if (handle->next) {
    handle->next->previous = handle->previous;
  }
  handle->loop = NULL;
}

/* The table of active handles: a place holds a handle, or is free and holds the
 * number of the next free one. Places after the last anchor are nil, or were in
 * use before the table shrank. */

enum {
  KEPT_ANCHORS = 1024,
  BEYOND_ANCHORS = 1 << 27 /* more handles than memory can hold */
};

/* [-0, +0] removes the free places from the table. A new key, for which the
 * hash part has no room beside [0], then makes Lua resize the table. Lua 5.5
 * recounts the array part only for a key that could be in it. */
static void shrink_active(lua_State *L, zlua_loop *loop, int active_index) {
  loop->free_anchor = 0;
  loop->last_anchor = 0;
  loop->scattered = loop->anchors > 0;
  lua_pushnil(L);
  while (lua_next(L, active_index)) {
    bool is_free = lua_type(L, -1) == LUA_TNUMBER;
    lua_pop(L, 1);
    if (is_free) {
      lua_pushvalue(L, -1);
      lua_pushnil(L);
      lua_rawset(L, active_index);
    }
  }
  lua_pushboolean(L, 1);
  lua_rawseti(L, active_index, BEYOND_ANCHORS);
  lua_pushnil(L);
  lua_rawseti(L, active_index, BEYOND_ANCHORS);
}

/* Is the table much larger than its contents? */
static inline bool is_sparse(const zlua_loop *loop) {
  return loop->last_anchor > KEPT_ANCHORS &&
         loop->anchors < loop->last_anchor / 8;
}

static bool handle_is_used(lua_State *L, int active_index, int anchor) {
  lua_rawgeti(L, active_index, anchor);
  bool used = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return used;
}

static int new_anchor(lua_State *L, const zlua_loop *loop, int active_index) {
  int anchor = loop->last_anchor + 1;
  while (loop->scattered && handle_is_used(L, active_index, anchor)) {
    anchor++;
  }
  return anchor;
}

/* [-0, +0] keeps the value at index alive; returns its anchor. Like luaL_ref(),
 * but the head of the free list is in the struct. */
int zlua_keep(lua_State *L, zlua_loop *loop, int active_index, int index) {
  int anchor = loop->free_anchor;
  if (anchor && is_sparse(loop)) {
    shrink_active(L, loop, active_index);
    anchor = 0;
  }
  if (anchor) {
    lua_rawgeti(L, active_index, anchor);
    loop->free_anchor = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    lua_pushvalue(L, index);
    lua_rawseti(L, active_index, anchor); /* its place exists */
  } else {
    anchor = new_anchor(L, loop, active_index);
    lua_pushvalue(L, index);
    lua_rawseti(L, active_index, anchor); /* may raise */
    loop->last_anchor = anchor;
  }
  loop->anchors++;
  return anchor;
}

/* [-0, +0] allocates nothing. */
void zlua_let_go(lua_State *L, zlua_loop *loop, int active_index, int anchor) {
  lua_pushinteger(L, loop->free_anchor);
  lua_rawseti(L, active_index, anchor);
  loop->free_anchor = anchor;
  loop->anchors--;
}

/* [-0, +0] the loop keeps the handle at index alive, whose uservalue has the
 * loop in [1]. */
void zlua_anchor(lua_State *L, zlua_handle *handle, int index) {
  if (handle->anchor) {
    return;
  }
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, 1);
  zlua_loop *loop = lua_touserdata(L, -1);
  zlua_push_active(L, -1); /* uservalue, loop, active */
  handle->anchor = zlua_keep(L, loop, lua_gettop(L), index);
  lua_pop(L, 3);
}

/* [-0, +0] the loop no longer keeps the handle alive. Allocates nothing. */
void zlua_unanchor(lua_State *L, zlua_handle *handle, int active_index) {
  if (handle->anchor) {
    active_index = zlua_absindex(L, active_index);
    lua_rawgeti(L, active_index, 0);
    zlua_loop *loop = lua_touserdata(L, -1);
    lua_pop(L, 1);
    zlua_let_go(L, loop, active_index, handle->anchor);
    handle->anchor = 0;
  }
}
