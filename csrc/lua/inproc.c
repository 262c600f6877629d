/* inproc.c - inproc names that sockets wait for.
 * SPDX-License-Identifier: MIT
 *
 * A connect to a name that is not bound yet stays pending, even after its
 * socket is closed, until the name is bound or the context ends. Then libzmq
 * writes to each pending pipe, and aborts the process if it cannot: a PAIR
 * refuses all pipes but the first, and an ended pipe accepts nothing. At the
 * end of the context libzmq creates a socket to bind such names, and aborts if
 * max_sockets or the process's descriptors are exhausted.
 *
 * So the names are recorded here, in the first context of this Lua state for
 * the same libzmq context. Names that sockets of other states or libraries wait
 * for in a shared context are unknown.
 */
#define _GNU_SOURCE
#include "inproc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "context.h"
#include "socket.h"

/* A pending connect, or a bind. */
struct zlua_name {
  zlua_name *next;
  const zlua_socket *socket; /* NULL: closed */
  bool is_bound;
  bool is_ended; /* by disconnect, but still pending */
  char address[];
};

/* Is it an inproc address in a context that we know? */
static bool is_ours(const zlua_socket *socket, const char *address) {
  return socket->context && strncmp(address, "inproc://", 9) == 0;
}

static zlua_context *home_of(const zlua_socket *socket) {
  return socket->context->home;
}

static bool is_waiting(const zlua_name *name, const char *address) {
  return !name->is_bound && strcmp(name->address, address) == 0;
}

static bool is_bound(const zlua_context *home, const char *address) {
  for (const zlua_name *name = home->names; name; name = name->next) {
    if (name->is_bound && strcmp(name->address, address) == 0) {
      return true;
    }
  }
  return false;
}

/* A ROUTER or REP receives the routing id of the socket that binds. */
static bool wants_id(const zlua_name *name) {
  return name->socket &&
         (name->socket->type == ZMQ_ROUTER || name->socket->type == ZMQ_REP);
}

/* Can a socket that binds the address be connected to all that wait for it?
 * one_peer: it refuses a second pipe; greets: it writes to each new pipe. */
static bool can_serve(const zlua_context *home, const char *address,
                      bool one_peer, bool greets) {
  bool is_first = true;
  for (const zlua_name *name = home->names; name; name = name->next) {
    if (!is_waiting(name, address)) {
      continue;
    }
    bool is_over = name->is_ended || !name->socket;
    if ((wants_id(name) && (name->is_ended || (one_peer && !is_first))) ||
        (greets && is_over)) {
      return false;
    }
    is_first = false;
  }
  return true;
}

static bool has_one_peer(int type) {
#ifdef ZMQ_CHANNEL
  return type == ZMQ_PAIR || type == ZMQ_CHANNEL;
#else
  return type == ZMQ_PAIR;
#endif
}

/* Creates the socket that binds pending names when the context ends. Done at
 * the first pending connect, since it may be impossible later. Returns 0 or an
 * error. */
static int keep_stand_in(zlua_context *home) {
  const int none = 0;
  if (home->borrowed || home->stand_in) {
    return 0;
  }
  home->stand_in = zmq_socket(home->zmq, ZMQ_DEALER);
  if (!home->stand_in) {
    return -zmq_errno();
  }
  (void)zmq_setsockopt(home->stand_in, ZMQ_LINGER, &none, sizeof none);
  return 0;
}

/* Before a bind or connect. Returns 0 or an error; *out is for
 * zlua_inproc_began(), or NULL for other transports. */
int zlua_inproc_begin(const zlua_socket *socket, const char *address,
                      bool binds, zlua_name **out) {
  *out = NULL;
  if (!is_ours(socket, address)) {
    return 0;
  }
  zlua_context *home = home_of(socket);
  if (binds &&
      !can_serve(home, address, has_one_peer(socket->type), socket->greets)) {
    return -ENOCOMPATPROTO;
  }
  int rc = binds || is_bound(home, address) ? 0 : keep_stand_in(home);
  if (rc < 0) {
    return rc;
  }
  size_t size = strlen(address) + 1;
  zlua_name *name = malloc(sizeof *name + size);
  if (!name) {
    return -ENOMEM;
  }
  *name = (zlua_name){.socket = socket, .is_bound = binds};
  memcpy(name->address, address, size);
  *out = name;
  return 0;
}

static void append(zlua_context *home, zlua_name *name) {
  zlua_name **end = &home->names;
  while (*end) {
    end = &(*end)->next;
  }
  *end = name;
}

/* Removes the socket's binds to the address, or with NULL all of them. Returns
 * whether there were any. */
static bool remove_bound(zlua_context *home, const zlua_socket *socket,
                         const char *address) {
  bool found = false;
  zlua_name **place = &home->names;
  while (*place) {
    zlua_name *name = *place;
    if (name->is_bound && name->socket == socket &&
        (!address || strcmp(name->address, address) == 0)) {
      *place = name->next;
      free(name);
      found = true;
    } else {
      place = &name->next;
    }
  }
  return found;
}

static void remove_waiting(zlua_context *home, const char *address) {
  zlua_name **place = &home->names;
  while (*place) {
    zlua_name *name = *place;
    if (is_waiting(name, address)) {
      *place = name->next;
      free(name);
    } else {
      place = &name->next;
    }
  }
}

/* After the bind or connect of zlua_inproc_begin(). */
void zlua_inproc_began(zlua_name *name, bool done) {
  if (!name) {
    return;
  }
  zlua_context *home = home_of(name->socket);
  if (!done || (!name->is_bound && is_bound(home, name->address))) {
    free(name);
    return;
  }
  if (name->is_bound) {
    remove_waiting(home, name->address);
  }
  append(home, name);
}

/* After an unbind or disconnect, which are one function in libzmq. */
void zlua_inproc_ended(const zlua_socket *socket, const char *address) {
  if (!is_ours(socket, address) ||
      remove_bound(home_of(socket), socket, address)) {
    return;
  }
  for (zlua_name *name = home_of(socket)->names; name; name = name->next) {
    if (name->socket == socket && is_waiting(name, address)) {
      name->is_ended = true;
    }
  }
}

/* The socket is being closed. */
void zlua_inproc_forget(const zlua_socket *socket) {
  zlua_context *home = home_of(socket);
  (void)remove_bound(home, socket, NULL);
  for (zlua_name *name = home->names; name; name = name->next) {
    if (name->socket == socket) {
      name->socket = NULL;
    }
  }
}

static void bind_waiting(zlua_context *home) {
  for (const zlua_name *name = home->names; name; name = name->next) {
    /* If a name is recorded twice the second bind fails. */
    bool binds =
        !name->is_bound && can_serve(home, name->address, false, false);
    while (binds && zmq_bind(home->stand_in, name->address) < 0 &&
           zmq_errno() == EINTR) {
    }
  }
}

/* The context is about to be shut down or terminated: binds what is pending. */
void zlua_inproc_close(zlua_context *context) {
  if (context->home != context) {
    return;
  }
  if (context->stand_in && context->pid == getpid()) {
    bind_waiting(context);
    (void)zmq_close(context->stand_in);
  }
  context->stand_in = NULL;
  while (context->names) {
    zlua_name *name = context->names;
    context->names = name->next;
    free(name);
  }
}
