/* slot.h - the slots of an entry into the core.
 * SPDX-License-Identifier: MIT
 *
 * They are on the stack of the C function that entered the core, so that a call
 * into Lua allocates nothing.
 */
#ifndef ZLUA_SLOT_H
#define ZLUA_SLOT_H

#include "object.h"

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
  ZLUA_SLOT_KEEP_TRACE,   /* keeps the trace of a pending error */
  ZLUA_SLOT_NEW_RUNNER,   /* makes a coroutine for calls */
  ZLUA_SLOT_NOTHING,      /* gives the host's hooks a chance to run */
  ZLUA_SLOT_CALL_NAME,    /* "__call" */
  ZLUA_SLOT_INTERRUPTED,  /* the text of an interrupt */
  ZLUA_SLOTS
} zlua_slot;

/* Pushes the next function to call and its arguments, given (active, state,
 * handle, loop) and, where the Lua version keeps the stack, what it has left
 * above. Returns the number of values, or 0 at the end. */
typedef int (*zlua_next_fn)(lua_State *L, void *handle);

/* What a slot calls. `class`: of the objects that wait while a call has
 * yielded; suspend pushes the object, resume gets it at 1. NULL: nothing
 * waits. */
typedef struct zlua_slot_call {
  zlua_slot slot;
  zlua_next_fn next;
  bool repeated; /* until the end, not once */
  bool may_end;  /* may end early: the core makes another call for the rest */
  const zlua_class *class;
  int (*suspend)(lua_State *L, const void *handle);
  void (*resume)(lua_State *L);
} zlua_slot_call;

void zlua_push_slots(lua_State *L);
void zlua_slot_register(lua_State *L, const zlua_slot_call *it);
void zlua_slot_set(lua_State *L, zlua_slot slot, lua_CFunction function);

#endif /* ZLUA_SLOT_H */
