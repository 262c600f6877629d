/* sockets.c - contexts, endpoints of every transport, and short sends.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "sockets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../test.h"

static char folder[64];
static pid_t folder_owner;
static int endpoints;

const char *transport_name(transport kind) {
  static const char *const names[TRANSPORTS] = {"inproc", "ipc", "tcp"};
  return names[kind];
}

void *new_socket(void *context, int type) {
  void *socket = zmq_socket(context, type);
  CHECK(socket);
  set_option(socket, ZMQ_LINGER, 0);
  return socket;
}

void close_socket(void *socket) {
  CHECK_INT(zmq_close(socket), 0);
}

void end_context(void *context) {
  CHECK_INT(zmq_ctx_term(context), 0);
}

void set_option(void *socket, int option, int value) {
  CHECK_INT(zmq_setsockopt(socket, option, &value, sizeof value), 0);
}

static void endpoint_path(int number, char *path, size_t size) {
  (void)snprintf(path, size, "%s/%d", folder, number);
}

static void remove_folder(void) {
  char path[96];
  if (getpid() != folder_owner) {
    return;
  }
  for (int i = 0; i <= endpoints; i++) {
    endpoint_path(i, path, sizeof path);
    (void)unlink(path);
  }
  (void)rmdir(folder);
}

static void make_folder(void) {
  if (folder[0]) {
    return;
  }
  const char *tmp = getenv("TMPDIR");
  (void)snprintf(folder, sizeof folder, "%s/zmqloop-XXXXXX",
                 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
  CHECK(mkdtemp(folder));
  folder_owner = getpid();
  CHECK_INT(atexit(remove_folder), 0);
}

void new_endpoint(transport kind, char *endpoint, size_t size) {
  char path[96];
  endpoints++;
  if (kind == IPC) {
    make_folder();
    endpoint_path(endpoints, path, sizeof path);
    (void)snprintf(endpoint, size, "ipc://%s", path);
  } else if (kind == TCP) {
    (void)snprintf(endpoint, size, "tcp://127.0.0.1:*");
  } else {
    (void)snprintf(endpoint, size, "inproc://test-%d-%d", (int)getpid(),
                   endpoints);
  }
}

void join_sockets(transport kind, void *server, void *client) {
  char endpoint[128];
  size_t size = sizeof endpoint;
  new_endpoint(kind, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(server, endpoint), 0);
  if (kind == TCP) {
    CHECK_INT(zmq_getsockopt(server, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
  }
  CHECK_INT(zmq_connect(client, endpoint), 0);
}

void send_text(void *socket, const char *text, int flags) {
  CHECK_INT(zmq_send(socket, text, strlen(text), flags), strlen(text));
}

int recv_text(void *socket, char *text, size_t size) {
  int length = zmq_recv(socket, text, size - 1, 0);
  CHECK(length >= 0 && (size_t)length < size);
  text[length] = '\0';
  return length;
}
