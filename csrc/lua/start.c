/* start.c - checks what libzmq takes for granted.
 * SPDX-License-Identifier: MIT
 *
 * libzmq starts its threads when the first socket of a context is created, and
 * aborts the process if they cannot get their descriptors or the requested
 * priority; so does a bind that runs out of descriptors. So these are tried
 * here first.
 */
#define _GNU_SOURCE
#include "start.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "context.h"

/* A thread has a mailbox and a poller; the socket has a mailbox; the rest is
 * for descriptors that are open only briefly. */
enum { PER_THREAD = 2, BESIDES = 8, FOR_ADDRESS = 8 };

/* Returns 0, or an error if the process cannot open that many. */
static int try_descriptors(int count) {
  int rc = 0;
  int opened = 0;
  int *fds = malloc((size_t)count * sizeof *fds);
  if (!fds) {
    return -ENOMEM;
  }
  for (; opened < count && rc == 0; opened++) {
    fds[opened] = opened == 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC)
                              : fcntl(fds[0], F_DUPFD_CLOEXEC, 0);
    rc = fds[opened] < 0 ? -errno : 0;
  }
  while (opened-- > 0) {
    if (fds[opened] >= 0) {
      (void)close(fds[opened]);
    }
  }
  free(fds);
  return rc;
}

typedef struct scheduling {
  int policy; /* -1: the default */
  int priority;
  int error;
} scheduling;

/* Does what libzmq's threads do at their start. Policies without priorities get
 * a nice value. */
static void *try_scheduling(void *arg) {
  scheduling *it = arg;
  struct sched_param parameters;
  int policy;
  it->error = pthread_getschedparam(pthread_self(), &policy, &parameters);
  if (it->error) {
    return NULL;
  }
  policy = it->policy >= 0 ? it->policy : policy;
  bool has_priorities = policy == SCHED_FIFO || policy == SCHED_RR;
  if (!has_priorities) {
    parameters.sched_priority = 0;
  } else if (it->priority >= 0) {
    parameters.sched_priority = it->priority;
  }
  it->error = pthread_setschedparam(pthread_self(), policy, &parameters);
  errno = 0;
  if (!it->error && !has_priorities && it->priority >= 0 && nice(-20) == -1) {
    it->error = errno;
  }
  return NULL;
}

static int try_thread(const zlua_context *context) {
  scheduling it = {
      .policy = context->sched_policy,
      .priority = context->priority,
  };
  pthread_t thread;
  int rc = pthread_create(&thread, NULL, try_scheduling, &it);
  if (rc != 0) {
    return -rc;
  }
  (void)pthread_join(thread, NULL);
  return -it.error;
}

/* Before each socket of the context. Returns 0 or an error. */
int zlua_context_start(zlua_context *context) {
  if (context->pid != getpid()) {
    return -ECHILD;
  }
  if (context->started || context->borrowed) {
    return zlua_context_check(context);
  }
  int threads = zmq_ctx_get(context->zmq, ZMQ_IO_THREADS) + 1;
  int rc = try_descriptors(PER_THREAD * threads + BESIDES);
  bool scheduled = context->sched_policy >= 0 || context->priority >= 0;
  if (rc == 0 && scheduled) {
    rc = try_thread(context);
  }
  context->started = rc == 0;
  return rc;
}

/* Before a bind or connect that needs descriptors. Returns 0 or an error. */
int zlua_address_start(const zlua_context *context) {
  if (context->pid != getpid()) {
    return -ECHILD;
  }
  return try_descriptors(FOR_ADDRESS);
}
