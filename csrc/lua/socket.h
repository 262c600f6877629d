/* socket.h - class Socket.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SOCKET_H
#define ZLUA_SOCKET_H

#include "context.h"
#include "inbox.h"
#include "message.h"
#include "object.h"
#include "outbox.h"

typedef struct zlua_handler zlua_handler;
typedef struct zlua_stream zlua_stream;

extern const zlua_class zlua_class_socket;

typedef struct zlua_socket {
  const zlua_class *class;
  void *zmq; /* NULL: closed, or not yet open */
  int type;
  zlua_context *context;     /* kept by the uservalue; NULL: it is borrowed */
  const volatile char *here; /* its context's */
  zlua_socket *previous;     /* among those of the context */
  zlua_socket *next;
  zlua_stream *stream;    /* on it, or NULL */
  zlua_handler *handler;  /* registered for it, or NULL */
  zlua_socket *monitor;   /* gets its events, or NULL */
  zlua_socket *monitored; /* whose events it gets, or NULL */
  bool of_loop;           /* a monitor that only its stream knows of */
  bool uses_norm;         /* which does not carry long frames */
  bool probes;            /* new connections with an empty message */
  bool greets;            /* new connections, with a message */
  bool wss_key;           /* it has one, and ... */
  bool wss_cert;          /* ... a certificate, of what wss listens with */
  bool raw;               /* a ROUTER that was made so */
  bool sends;  /* the last frame sent is not the last of its message */
  bool deaf;   /* a SUB that has never had a subscription */
  bool looked; /* since the last receive libzmq was asked for its readiness */
  zlua_inbox inbox;
  zlua_outbox outbox;
  zlua_outbox begun; /* of a message, whose last part is still to come */
} zlua_socket;

zlua_socket *zlua_check_socket(lua_State *L, int index, const char *method,
                               int argument);
void zlua_socket_changed(zlua_socket *socket);
void zlua_socket_used(const zlua_socket *socket);
void zlua_socket_touch(const zlua_socket *socket);
int zlua_socket_check_process(const zlua_socket *socket);
int zlua_socket_check_message(const zlua_socket *socket,
                              const zlua_message *message);
void zlua_socket_set_user(lua_State *L, int index, int user_index);
void zlua_socket_set_monitor(lua_State *L, int index, int monitor_index);
void zlua_push_context(lua_State *L, int index);
void zlua_push_sockets(lua_State *L, int context_index);
void zlua_push_socket(lua_State *L, int index, const zlua_socket *socket);
void zlua_socket_close(lua_State *L, int index, const int *linger);
void zlua_socket_shut(zlua_socket *socket, const int *linger);
void zlua_socket_tell_closed(lua_State *L, int index);
void zlua_socket_drop(zlua_socket *socket);

#endif /* ZLUA_SOCKET_H */
