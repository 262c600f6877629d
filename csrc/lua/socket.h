/* socket.h - class Socket.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SOCKET_H
#define ZLUA_SOCKET_H

#include "context.h"
#include "inbox.h"
#include "message.h"
#include "object.h"
#include "outgoing.h"

typedef struct zlua_handler zlua_handler;
typedef struct zlua_socket zlua_socket;
typedef struct zlua_stream zlua_stream;

extern const zlua_class zlua_class_socket;

/* The uservalue. */
enum {
  ZLUA_SOCKET_CONTEXT = 1,
  ZLUA_SOCKET_USER,
  ZLUA_SOCKET_MONITOR,
  ZLUA_SOCKET_ON_CLOSED /* internal: fn(socket), called after a close */
};

/* The default linger of sockets created here, and the maximum when they are
 * collected, so that no exit takes longer. */
enum { ZLUA_LINGER_MS = 1000 };

/* Functions of the stream or handler that uses a socket. */
typedef struct zlua_socket_user {
  void (*used)(const zlua_socket *socket);
  void (*touch)(const zlua_socket *socket);
  void (*detach)(zlua_socket *socket); /* without Lua */
  /* Closes the one at index; a stream closes its socket too. */
  void (*close)(lua_State *L, int index, const int *linger);
  /* In place of zmq_disconnect(); returns 0 or an error. NULL: it holds no
   * messages. */
  int (*disconnect)(const zlua_socket *socket, const char *address);
} zlua_socket_user;

typedef struct zlua_socket {
  const zlua_class *class;
  void *zmq; /* NULL: closed, or not yet open */
  int type;
  zlua_context *context;     /* kept alive by the uservalue; NULL: the socket is
                              * borrowed */
  const volatile char *here; /* its context's */
  zlua_socket *previous;     /* in the context's list */
  zlua_socket *next;
  zlua_stream *stream;          /* that uses it, or NULL */
  zlua_handler *handler;        /* registered for it, or NULL */
  const zlua_socket_user *user; /* of either, or NULL */
  zlua_socket *monitor;         /* receives its events, or NULL */
  zlua_socket *monitored;       /* whose events it receives, or NULL */
  bool of_loop;                 /* a monitor that only its stream knows of */
  bool uses_norm;               /* NORM cannot carry long frames */
  bool probes;                  /* sends new connections an empty message */
  bool greets;                  /* sends new connections a message */
  bool wss_key;                 /* it has one, and ... */
  bool wss_cert;                /* ... a certificate, to listen with wss */
  bool raw;                     /* a ROUTER that was set raw */
  bool deaf;                    /* a SUB that has never had a subscription */
  bool looked; /* its readiness was checked since the last receive */
  zlua_inbox inbox;
  zlua_outgoing outgoing;
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
void zlua_socket_set_field(lua_State *L, int index, int field, int value_index);
void zlua_socket_link(zlua_socket *socket, zlua_context *context);
void zlua_socket_unlink(zlua_socket *socket);
int zlua_get_linger(void *zmq);
void zlua_set_linger(void *zmq, int linger);
int zlua_get_int(void *zmq, int option, int *value);
void zlua_push_context(lua_State *L, int index);

#endif /* ZLUA_SOCKET_H */
