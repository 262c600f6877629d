/* loop.h - a loop: its struct and its tables.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_LOOP_H
#define ZLUA_LOOP_H

#include <sys/types.h>

#include "object.h"
#include "zmqloop.h"

typedef struct zlua_calls zlua_calls;
typedef struct zlua_ending zlua_ending;
typedef struct zlua_handle zlua_handle;

extern const zlua_class zlua_class_loop;

/* The uservalue of a loop. */
enum {
  ZLUA_LOOP_ACTIVE = 1, /* active handles, by anchor; [0]: the loop */
  ZLUA_LOOP_CALLBACKS,  /* packed ones, a queue from first to last */
  ZLUA_LOOP_HANDLERS,   /* descriptor number and registered object -> handler */
  ZLUA_LOOP_SIGNALS,    /* number -> handler of the signal */
  ZLUA_LOOP_CLOCK,      /* the coroutine of the user's clock, if there is one */
  ZLUA_LOOP_STATE       /* written by calls: enum zlua_left */
};

/* Fields of the table at ZLUA_LOOP_STATE. All have places from the start, since
 * they are set where nothing may raise. */
enum {
  ZLUA_LEFT_CALLBACK = 1, /* the callback being called */
  ZLUA_LEFT_ERROR,        /* to be raised by the method that entered the core */
  ZLUA_LEFT_RUNNER,       /* an idle coroutine for calls, or nil */
  ZLUA_LEFT_TRACEBACK,    /* of the error that callback_error() raises */
  ZLUA_LEFT_ON_ERROR,     /* the argument of on_error() */
  ZLUA_LEFT_CLOSED,       /* queued close callbacks: stream.c */
  ZLUA_LEFT_BLOCKED,      /* called when the loop blocks */
  ZLUA_LEFT_TRACE,        /* of ZLUA_LEFT_ERROR: text, or nil */
  ZLUA_LEFT_LAST = ZLUA_LEFT_TRACE
};

/* How a block is reported: blocked.c. Also accessed by a signal handler, on the
 * same thread. */
typedef struct zlua_blocked {
  lua_State *volatile L; /* its hook is ours and has not run yet; or NULL */
  lua_Hook former;
  int mask; /* of the former hook */
  int count;
  int64_t asked_ns;
  int64_t threshold_ns;
} zlua_blocked;

typedef struct zlua_loop {
  const zlua_class *class;
  zl_loop *core;       /* NULL: closed, or not yet open */
  zlua_calls *calls;   /* of the state */
  zlua_ending *ending; /* the same */
  lua_State *runner;   /* in the slot, idle; NULL: busy, or there is none */
  lua_State *L;        /* the state that has entered the core; NULL: none has */
  lua_State *volatile runs; /* L, or the coroutine that it has resumed */
  int slots;                /* where on its stack the slots begin */
  bool failed;              /* ZLUA_LEFT_ERROR is to be raised */
  bool raises;              /* on_error("raise") */
  int64_t failed_ns;        /* when a callback raised an error last */
  bool sigint_handled;      /* SIGINT had a handler when the loop was entered */
  char slowest[LUA_IDSIZE + 16]; /* where the slowest callback begins */
  pid_t pid;                     /* of the process that created it */
  bool left_waiting; /* a handler or stream was finalized while it waited */
  bool left_deaf;    /* a SUB without subscriptions among them */
  int serial;        /* its key in the table of loops: zlua_push_loop() */
  int anchors;       /* in use */
  int last_anchor;   /* the last new one; see zlua_keep() */
  bool scattered;    /* some in use come after the last new one */
  int free_anchor;   /* the first free one; its place has the next; or 0 */
  unsigned changes;  /* counts calls made and receive callbacks replaced */
  zlua_handle *handles;
  zlua_blocked blocked;
  lua_State *clock; /* runs the user's clock; or NULL */
  bool reads_clock; /* the clock is running: its stack is in use */
  int64_t clock_ns; /* the last time it returned, or when the loop was closed */
  bool lacks_queue; /* after a burst it has no queue */
  lua_Integer first_callback; /* places in ZLUA_LOOP_CALLBACKS */
  lua_Integer next_callback;
  unsigned owed;    /* calls of callbacks that the core will not make */
  int first_closed; /* places in ZLUA_LEFT_CLOSED; last < first: it is empty */
  int last_closed;
} zlua_loop;

zlua_loop *zlua_no_loop(lua_State *L, int index, const char *method,
                        int argument);

/* The open loop at index, an argument of the method; 0: its self. */
static inline zlua_loop *zlua_check_loop(lua_State *L, int index,
                                         const char *method, int argument) {
  zlua_loop *loop = zlua_test_object(L, index, &zlua_class_loop);
  return loop && loop->core ? loop : zlua_no_loop(L, index, method, argument);
}

void zlua_push_actives(lua_State *L);
void zlua_push_loop(lua_State *L, int serial);
void zlua_push_active(lua_State *L, int loop_index);

#endif /* ZLUA_LOOP_H */
