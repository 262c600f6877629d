/* sockets.h - contexts, endpoints of every transport, and short sends.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_TEST_SOCKETS_H
#define ZL_TEST_SOCKETS_H

#include <stddef.h>

#include <zmq.h>

typedef enum transport { INPROC, IPC, TCP, TRANSPORTS } transport;

const char *transport_name(transport kind);

/* A socket with linger 0. */
void *new_socket(void *context, int type);
void close_socket(void *socket);
void end_context(void *context);

void set_option(void *socket, int option, int value);

/* An unused endpoint: for TCP a wildcard. The ipc folder is removed when the
 * program ends. */
void new_endpoint(transport kind, char *endpoint, size_t size);

/* Binds `server` to a new endpoint and connects `client` to it. */
void join_sockets(transport kind, void *server, void *client);

/* Blocking, for the peers of the tested sockets. */
void send_text(void *socket, const char *text, int flags);

/* Copies the next frame, as a string, to text; returns its length. */
int recv_text(void *socket, char *text, size_t size);

#endif /* ZL_TEST_SOCKETS_H */
