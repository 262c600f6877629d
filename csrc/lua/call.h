/* call.h - protected calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 *
 * Every call from the core into Lua is protected. Its slots (enum zlua_slot)
 * are on the stack of the C function that entered the core, so that making the
 * call allocates nothing.
 */
#ifndef ZLUA_CALL_H
#define ZLUA_CALL_H

#include "compat.h"
#include "zmqloop.h"

typedef struct zlua_loop zlua_loop;

/* The innermost call of a Lua state into which a core has called. The first
 * field is what jit.lua reads. */
typedef struct zlua_calls {
  double serial;     /* of the call; 0: there is none */
  double last;       /* serial given */
  lua_State *runner; /* the coroutine it runs in */
  zlua_loop *loop;
  int slot;                       /* zlua_slot */
  int depth;                      /* how many calls are outside, and this one */
  void *handle;                   /* what its function was given */
  const struct zlua_calls *outer; /* the call inside of which it was made */
} zlua_calls;

/* On the stack of the C function that has entered the core. */
typedef enum zlua_slot {
  ZLUA_SLOT_LOOP,
  ZLUA_SLOT_ACTIVE,
  ZLUA_SLOT_STATE,
  ZLUA_SLOT_RUNNER, /* the coroutine of this entry's calls, or nil */
  ZLUA_SLOT_CALL_CALLBACK,
  ZLUA_SLOT_CALL_TIMER,
  ZLUA_SLOT_CALL_HANDLER,
  ZLUA_SLOT_CALL_SIGNAL,
  ZLUA_SLOT_CALL_RECV,
  ZLUA_SLOT_CALL_SENT,
  ZLUA_SLOT_CALL_CLOSED,
  ZLUA_SLOT_CALL_NOTICE,  /* on_drain, on_error of a stream */
  ZLUA_SLOT_CALL_FINISH,  /* closes a stream */
  ZLUA_SLOT_CALL_FOREIGN, /* a method of another library's socket */
  ZLUA_SLOT_CALL_ERROR,   /* hands an error to the user */
  ZLUA_SLOT_KEEP_TRACE,   /* keeps the trace of one that is to be raised */
  ZLUA_SLOT_NEW_RUNNER,   /* makes a coroutine for calls */
  ZLUA_SLOT_NOTHING,      /* gives the host's hooks an occasion */
  ZLUA_SLOT_CALL_NAME,    /* "__call" */
  ZLUA_SLOT_INTERRUPTED,  /* the text of an interrupt */
  ZLUA_SLOTS
} zlua_slot;

/* An entry into the core; they nest. */
typedef struct zlua_entry {
  lua_State *L;
  lua_State *runs;
  lua_State *runner;
  unsigned changes;
  int slots;
} zlua_entry;

void zlua_check_depth(lua_State *L, const zlua_loop *loop);
void zlua_enter(lua_State *L, zlua_loop *loop, int loop_index,
                zlua_entry *before);
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before);
bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle);
bool zlua_may_repeat(const zlua_loop *loop);
void zlua_on_slowest(zl_loop *core, int64_t took_ns, void *arg);
void zlua_raise_later(zlua_loop *loop);
void zlua_calling(lua_State *L, int state_index, int callback_index);
int zlua_on_interrupt(zl_loop *core, void *arg);
void zlua_let_hooks_run(lua_State *L);
void zlua_become_running(lua_State *L);
void zlua_sigint_changed(zlua_loop *loop);
void zlua_make_calls(lua_State *L);
zlua_calls *zlua_calls_of(lua_State *L);

#endif /* ZLUA_CALL_H */
