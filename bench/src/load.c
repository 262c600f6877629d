/* load.c - see load.h. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

extern char **environ;

enum { TIMEOUT_MS = 30000, DEALERS = 100, IN_FLIGHT = 10 };

static void *allocate(size_t count, size_t size) {
  void *block = calloc(count, size);
  if (block == NULL)
    bench_die("out of memory");
  return block;
}

/* ---- sockets ------------------------------------------------------------ */

static void set_int(void *socket, int option, int value) {
  zmq_setsockopt(socket, option, &value, sizeof value);
}

static void *open_socket(void *context, int type) {
  void *socket = zmq_socket(context, type);
  if (socket == NULL)
    bench_die("zmq_socket: %s", zmq_strerror(zmq_errno()));
  set_int(socket, ZMQ_RECONNECT_IVL, 2);
  set_int(socket, ZMQ_RCVTIMEO, TIMEOUT_MS);
  set_int(socket, ZMQ_SNDTIMEO, TIMEOUT_MS);
  set_int(socket, ZMQ_LINGER, TIMEOUT_MS);
  return socket;
}

static void connect_to(void *socket, const char *endpoint) {
  if (zmq_connect(socket, endpoint) != 0)
    bench_die("connect %s: %s", endpoint, zmq_strerror(zmq_errno()));
}

static void send_message(void *socket, const void *data, size_t size) {
  if (zmq_send(socket, data, size, 0) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
}

static void pause_for(const bench *b) {
  if (b->pause_s > 0)
    usleep((useconds_t)(b->pause_s * 1e6));
}

/* ---- push --------------------------------------------------------------- */

/* Over ipc, libzmq 4.3.4 loses the end of the flood when the sender closes
 * while the receiver is held back by its high-water mark. */
static void wait_until_peer_closes(void *monitor) {
  zmq_msg_t event;
  zmq_msg_init(&event);
  zmq_msg_recv(&event, monitor, 0);
  zmq_msg_close(&event);
}

static void push(const bench *b, void *context, unsigned char *message) {
  void *socket = open_socket(context, ZMQ_PUSH), *monitor = NULL;
  if (strncmp(b->endpoint, "inproc:", 7) != 0) {
    zmq_socket_monitor(socket, "inproc://monitor", ZMQ_EVENT_DISCONNECTED);
    monitor = open_socket(context, ZMQ_PAIR);
    connect_to(monitor, "inproc://monitor");
  }
  connect_to(socket, b->endpoint);
  int number_all = strcmp(b->workload, "number") == 0;
  for (uint64_t i = 0; i < b->checked + b->counted; i++) {
    uint64_t number = number_all ? i : bench_flood_number(b, i);
    memcpy(message, &number, sizeof number);
    send_message(socket, message, b->size);
  }
  if (monitor != NULL) {
    wait_until_peer_closes(monitor);
    zmq_socket_monitor(socket, NULL, 0);
    zmq_close(monitor);
  }
  zmq_close(socket);
}

/* ---- req ---------------------------------------------------------------- */

static void ask(const bench *b, void *socket, const unsigned char *message,
                unsigned char *reply) {
  send_message(socket, message, b->size);
  int size = zmq_recv(socket, reply, b->size, 0);
  if (size != (int)b->size || memcmp(reply, message, b->size) != 0)
    bench_die("a reply is wrong (%d bytes)", size);
}

static void req(bench *b, void *context, unsigned char *message,
                unsigned char *reply) {
  void *socket = open_socket(context, ZMQ_REQ);
  connect_to(socket, b->endpoint);
  double *seconds = allocate(b->counted, sizeof *seconds);
  for (uint64_t i = 0; i < b->checked + b->counted; i++) {
    memcpy(message, &i, sizeof i);
    pause_for(b);
    double start = bench_seconds();
    ask(b, socket, message, reply);
    if (i >= b->checked)
      seconds[i - b->checked] = bench_seconds() - start;
  }
  bench_add_percentiles(b, "p50_us", "p99_us", seconds, b->counted);
  free(seconds);
  zmq_close(socket);
}

/* ---- dealers ------------------------------------------------------------ */

typedef struct dealer {
  void *socket;
  uint32_t index;
  uint64_t sent, received, share;
} dealer;

/* The number, then which dealer. */
static void fill_request(unsigned char *message, uint64_t number,
                         const dealer *d) {
  memcpy(message, &number, sizeof number);
  memcpy(message + sizeof number, &d->index, sizeof d->index);
}

static void send_request(const bench *b, dealer *d, unsigned char *message) {
  fill_request(message, d->sent++, d);
  send_message(d->socket, message, b->size);
}

/* ZMQ_FD is edge-triggered: a socket is left only when there is nothing more.
 * Returns the number of replies. */
static uint64_t take_replies(const bench *b, dealer *d, unsigned char *message,
                             unsigned char *reply) {
  for (uint64_t count = 0;; count++) {
    int size = zmq_recv(d->socket, reply, b->size, ZMQ_DONTWAIT);
    if (size < 0 && zmq_errno() == EAGAIN)
      return count;
    fill_request(message, d->received, d);
    if (size != (int)b->size || memcmp(reply, message, b->size) != 0)
      bench_die("reply %" PRIu64 " is wrong (%d bytes)", d->received, size);
    d->received++;
    if (d->sent < d->share)
      send_request(b, d, message);
  }
}

static void open_dealer(const bench *b, dealer *d, uint32_t index,
                        void *context, int epoll) {
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
  uint64_t total = b->checked + b->counted;
  int fd;
  size_t size = sizeof fd;
  d->socket = open_socket(context, ZMQ_DEALER);
  d->index = index;
  d->share = total / DEALERS + (index < total % DEALERS);
  connect_to(d->socket, b->endpoint);
  zmq_getsockopt(d->socket, ZMQ_FD, &fd, &size);
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

static void dealers(const bench *b, void *context, unsigned char *message,
                    unsigned char *reply) {
  static dealer all[DEALERS];
  struct epoll_event events[DEALERS];
  if (b->size < 16)
    bench_die("dealers want 16 bytes or more");
  int epoll = epoll_create1(0);
  uint64_t left = b->checked + b->counted;
  for (uint32_t i = 0; i < DEALERS; i++)
    open_dealer(b, &all[i], i, context, epoll);
  for (int i = 0; i < DEALERS; i++) {
    while (all[i].sent < IN_FLIGHT && all[i].sent < all[i].share)
      send_request(b, &all[i], message);
    left -= take_replies(b, &all[i], message, reply);
  }
  while (left > 0) {
    int count = epoll_wait(epoll, events, DEALERS, TIMEOUT_MS);
    if (count <= 0)
      bench_die("%" PRIu64 " replies are missing", left);
    for (int i = 0; i < count; i++)
      left -= take_replies(b, &all[events[i].data.u32], message, reply);
  }
  for (int i = 0; i < DEALERS; i++)
    zmq_close(all[i].socket);
  close(epoll);
}

/* ---- sub ---------------------------------------------------------------- */

static void sub(const bench *b, void *context) {
  void *socket = open_socket(context, ZMQ_SUB);
  set_int(socket, ZMQ_RCVHWM, 0);
  zmq_setsockopt(socket, ZMQ_SUBSCRIBE, "", 0);
  connect_to(socket, b->endpoint);
  pause_for(b);
  zmq_msg_t message;
  zmq_msg_init(&message);
  for (uint64_t i = 0; i < b->checked + b->counted; i++) {
    if (zmq_msg_recv(&message, socket, 0) < 0)
      bench_die("message %" PRIu64 ": %s", i, zmq_strerror(zmq_errno()));
    bench_compare(b, bench_flood_number(b, i), zmq_msg_data(&message),
                  zmq_msg_size(&message));
  }
  if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) >= 0)
    bench_die("a message too many");
  zmq_msg_close(&message);
  zmq_setsockopt(socket, ZMQ_UNSUBSCRIBE, "", 0); /* says that all arrived */
  zmq_close(socket);
}

/* ---- startup ------------------------------------------------------------ */

enum { MAX_ARGUMENTS = 30, SETTLE_US = 50000 };

static pid_t start_service(char **command, const char *endpoint) {
  char key[300], *argv[MAX_ARGUMENTS + 3];
  int count = 0;
  for (; command[count] != NULL && count < MAX_ARGUMENTS; count++)
    argv[count] = command[count];
  snprintf(key, sizeof key, "endpoint=%s", endpoint);
  argv[count] = key;
  argv[count + 1] = "connect=1";
  argv[count + 2] = NULL;
  pid_t pid;
  if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0)
    bench_die("cannot start %s", argv[0]);
  return pid;
}

/* The load binds and the service connects, which is tried at once; the other
 * way round the interval between tries would be part of the time. */
static double first_echo(bench *b, void *context, char **command, uint64_t i,
                         double *private_bytes) {
  char endpoint[280];
  unsigned char message[b->size], reply[b->size];
  snprintf(endpoint, sizeof endpoint, "%s-%" PRIu64, b->endpoint, i);
  void *socket = open_socket(context, ZMQ_REQ);
  set_int(socket, ZMQ_LINGER, 0);
  if (zmq_bind(socket, endpoint) != 0)
    bench_die("bind %s: %s", endpoint, zmq_strerror(zmq_errno()));
  bench_fill(message, b->size, i);
  double start = bench_seconds();
  pid_t pid = start_service(command, endpoint);
  ask(b, socket, message, reply);
  double seconds = bench_seconds() - start;
  usleep(SETTLE_US);
  *private_bytes = bench_private_bytes_of(pid);
  kill(pid, SIGKILL);
  waitpid(pid, NULL, 0);
  zmq_close(socket);
  return seconds;
}

static void startup(bench *b, void *context, char **command) {
  double *seconds = allocate(b->counted, sizeof *seconds), private_bytes;
  for (uint64_t i = 0; i < b->counted; i++)
    seconds[i] = first_echo(b, context, command, i, &private_bytes);
  bench_add_percentiles(b, "first_echo_us", "p99_us", seconds, b->counted);
  bench_add(b, "service_bytes", private_bytes);
  free(seconds);
}

/* ---- which -------------------------------------------------------------- */

void load_run(bench *b, void *context, char **command) {
  unsigned char *message = allocate(1, b->size), *reply = allocate(1, b->size);
  bench_fill(message, b->size, 0);
  const char *mode = b->workload;
  if (strcmp(mode, "push") == 0 || strcmp(mode, "number") == 0)
    push(b, context, message);
  else if (strcmp(mode, "req") == 0)
    req(b, context, message, reply);
  else if (strcmp(mode, "dealers") == 0)
    dealers(b, context, message, reply);
  else if (strcmp(mode, "sub") == 0)
    sub(b, context);
  else if (strcmp(mode, "startup") == 0 && command != NULL)
    startup(b, context, command);
  else
    bench_unknown(b);
  free(message);
  free(reply);
}

static struct {
  bench b;
  void *context;
  pthread_t thread;
} inside;

static void *run_inside(void *arg) {
  (void)arg;
  cpu_set_t core;
  CPU_ZERO(&core);
  if (inside.b.load_core >= 0) {
    CPU_SET((size_t)inside.b.load_core, &core);
    if (sched_setaffinity(0, sizeof core, &core) != 0)
      bench_die("no core %d", inside.b.load_core);
  }
  load_run(&inside.b, inside.context, NULL);
  return NULL;
}

void load_start(const bench *b, void *context) {
  if (b->load == NULL)
    return;
  inside.b = *b;
  inside.b.workload = b->load;
  inside.context = context;
  if (pthread_create(&inside.thread, NULL, run_inside, NULL) != 0)
    bench_die("pthread_create");
}

void load_join(bench *b) {
  if (b->load == NULL)
    return;
  pthread_join(inside.thread, NULL);
  for (int i = 0; i < inside.b.figure_count; i++)
    bench_add(b, inside.b.figures[i].name, inside.b.figures[i].value);
}
