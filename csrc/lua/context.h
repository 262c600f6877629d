/* context.h - class Context.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CONTEXT_H
#define ZLUA_CONTEXT_H

#include <sys/types.h>

#include "object.h"

typedef struct zlua_exit zlua_exit;
typedef struct zlua_name zlua_name;
typedef struct zlua_socket zlua_socket;

extern const zlua_class zlua_class_context;

typedef struct zlua_context {
  const zlua_class *class;
  struct zlua_context *home; /* the first one of this state for the same libzmq
                              * context, which keeps the records; kept alive */
  void *zmq;                 /* NULL: terminated */
  zlua_exit *exit;           /* ends it when it is collected */
  zlua_socket *sockets;      /* open ones */
  bool borrowed;             /* other code terminates it */
  bool started;              /* libzmq has its threads */
  int guests;                /* of a home: open sockets of its other contexts */
  zlua_name *names;          /* of a home: inproc names, bound or waited for */
  void *stand_in;   /* of a home: binds pending names at the end; or NULL */
  bool lingers;     /* a socket may have been closed with unsent messages */
  int sched_policy; /* of libzmq's threads; -1: not set */
  int priority;     /* the same */
  pid_t pid;        /* of the process that created it */
  const volatile char *here; /* 0 in a forked process, where the system tells */
} zlua_context;

/* The uservalue of a context. */
enum {
  ZLUA_CONTEXT_SOCKETS = 1, /* address -> socket */
  ZLUA_CONTEXT_DEFAULTS,    /* options of new sockets, by place, or nil */
  ZLUA_CONTEXT_HOME         /* that of another context, or nil */
};

extern const char zlua_here; /* 1 */
zlua_context *zlua_check_context(lua_State *L, const char *method);
int zlua_context_check(const zlua_context *context);
void zlua_push_sockets(lua_State *L, int context_index);
void zlua_push_socket(lua_State *L, int index, const zlua_socket *socket);

#endif /* ZLUA_CONTEXT_H */
