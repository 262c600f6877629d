/* test_stream_close.c - the end of a stream, and of the process.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/streams.h"
#include "test.h"

static void test_stream_close_counts_the_unsent(void) {
  char text[8];
  begin_pair();
  zl_stream *stream = new_stream(push);
  CHECK_INT(zl_stream_close(NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(send_one(stream, "a", 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_close(stream), 3);
  /* libzmq gets as much as it takes. */
  stream = new_stream(push);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(send_one(stream, "b", (uint64_t)i), ZL_QUEUED);
  }
  join_sockets(INPROC, pull, push);
  CHECK_INT(zl_stream_close(stream), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    CHECK(!strcmp(text, "b"));
  }
  end_pair();
}

static void test_stream_closed_with_its_loop(void) {
  inbox in;
  begin_pair();
  (void)new_receiver(pull, &in);
  CHECK_INT(send_one(new_stream(push), "a", 5), ZL_QUEUED);
  close_loop(loop);
  loop = new_loop();
  join_sockets(INPROC, pull, push);
  (void)new_receiver(pull, &in);
  send_text(push, "still usable", 0);
  run_until(&in.messages, 1);
  close_loop(loop);
  close_socket(pull);
  close_socket(push);
  end_context(context);
}

typedef struct closer {
  zl_stream *self;
  zl_stream **victim; /* closed in the callback, then NULL */
  int *calls;
  int peek_first;
} closer;

static void on_recv_and_close(zl_stream *stream, void *arg) {
  closer *c = arg;
  zl_incoming message;
  CHECK(stream == c->self);
  if (c->peek_first) {
    if (zl_stream_next(stream, &message) == 0) {
      return; /* asked, and nothing was there */
    }
    zl_stream_accept(stream);
  }
  ++*c->calls;
  if (*c->victim) {
    zl_stream_close(*c->victim);
    *c->victim = NULL;
  }
}

static void test_stream_close_in_own_callback(void) {
  for (int peek_first = 0; peek_first < 2; peek_first++) {
    int calls = 0;
    begin_pair();
    join_sockets(INPROC, pull, push);
    zl_stream *stream = new_stream(pull);
    zl_stream *victim = stream;
    closer c = {stream, &victim, &calls, peek_first};
    zl_stream_on_recv(stream, on_recv_and_close, &c);
    send_text(push, "a", 0);
    send_text(push, "b", 0);
    CHECK(zl_loop_step(loop, 0, NULL) >= 0);
    CHECK_INT(step(), 0);
    CHECK_INT(calls, 1);
    CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
    end_pair();
  }
}

static void on_sent_and_close(zl_stream *stream, uint64_t token, int status,
                              void *arg) {
  on_sent(stream, token, status, arg);
  CHECK_INT(zl_stream_close(stream), 0);
}

static void test_stream_close_in_a_report(void) {
  reports r;
  memset(&r, 0, sizeof r);
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent_and_close, &r);
  CHECK_INT(send_reported(stream, &r, 1), 0);
  CHECK_INT(send_reported(stream, &r, 2), 0);
  (void)step();
  CHECK_INT(r.count, 1);
  CHECK_INT(step(), 0);
  end_pair();
}

/* Both have messages when the turn begins. */
static void test_stream_close_of_a_reported_neighbour(void) {
  int calls = 0;
  void *pulls[2];
  void *pushes[2];
  zl_stream *stream[2];
  closer c[2];
  begin();
  for (int i = 0; i < 2; i++) {
    pulls[i] = new_socket(context, ZMQ_PULL);
    pushes[i] = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pulls[i], pushes[i]);
    stream[i] = new_stream(pulls[i]);
  }
  for (int i = 0; i < 2; i++) {
    c[i] = (closer){stream[i], &stream[1 - i], &calls, 1};
    zl_stream_on_recv(stream[i], on_recv_and_close, &c[i]);
  }
  CHECK_INT(step(), 0);
  for (int i = 0; i < 2; i++) {
    send_text(pushes[i], "m", 0);
  }
  (void)step();
  CHECK_INT(calls, 1);
  CHECK(!stream[0] != !stream[1]);
  CHECK_INT(step(), 0);
  for (int i = 0; i < 2; i++) {
    zl_stream_close(stream[i]);
    close_socket(pulls[i]);
    close_socket(pushes[i]);
  }
  end();
}

/* ---- refusals ----------------------------------------------------------- */

static void test_stream_refuses_what_it_cannot_watch(void) {
  zl_stream *second = (zl_stream *)&context;
  zl_socket *watch;
  begin();
  pull = new_socket(context, ZMQ_PULL);
  zl_stream *stream = new_stream(pull);
  CHECK_INT(zl_stream_new(loop, pull, 0, &second), -EEXIST);
  CHECK(!second);
  CHECK_INT(zl_socket_new(loop, pull, ZL_READ, 0, NULL, NULL, &watch), -EEXIST);
  zl_stream_close(stream);
  CHECK_INT(zl_stream_new(loop, pull, 0x80, &second), -EINVAL);
  CHECK_INT(zl_stream_new(loop, NULL, 0, &second), -ENOTSOCK);
  stream = new_stream(pull);
  zl_stream_close(stream);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
  /* The socket knows once it has processed its commands. */
  CHECK(zmq_recv(pull, NULL, 0, ZMQ_DONTWAIT) < 0 && zmq_errno() == ETERM);
  CHECK_INT(zl_stream_new(loop, pull, 0, &second), -ETERM);
  CHECK(!second);
  CHECK(!zl_loop_alive(loop));
  close_socket(pull);
  end();
}

/* ---- fork --------------------------------------------------------------- */

/* Not CHECK: after a failure the child must not run the other tests. */
static int in_child(zl_stream *stream, zl_stream *queued, zl_fd *watch) {
  if (zl_loop_run(loop, ZL_RUN_FOREVER) != -ECHILD) {
    return 1;
  }
  if (zl_loop_step(loop, 0, NULL) != -ECHILD) {
    return 2;
  }
  zl_stream_close(stream);
  zl_fd_close(watch);
  if (zl_stream_close(queued) != 2) {
    return 3;
  }
  return zl_loop_close(loop) == 0 ? 0 : 4;
}

static void on_fd_byte(zl_fd *watch, int events, void *arg) {
  (void)watch;
  (void)events;
  ++*(int *)arg;
}

static void test_stream_fork_leaves_the_parent_alone(void) {
  inbox in;
  int ends[2];
  int bytes = 0;
  int status;
  zl_fd *watch;
  begin_pair();
  join_sockets(TCP, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd_byte, &bytes, &watch), 0);
  send_text(push, "before", 0);
  run_until(&in.messages, 1);
  void *lonely = new_socket(context, ZMQ_PUSH);
  zl_stream *queued = new_stream(lonely);
  CHECK_INT(send_one(queued, "a", 1), ZL_QUEUED);
  CHECK_INT(send_one(queued, "b", 0), ZL_QUEUED);
  pid_t child = fork();
  if (child == 0) {
    _exit(in_child(stream, queued, watch));
  }
  CHECK(child > 0);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  send_text(push, "after", 0);
  run_until(&in.messages, 2);
  CHECK_INT(write(ends[1], "", 1), 1);
  run_until(&bytes, 1);
  CHECK_INT(zl_stream_close(queued), 2);
  close_socket(lonely);
  zl_fd_close(watch);
  (void)close(ends[0]);
  (void)close(ends[1]);
  zl_stream_close(stream);
  end_pair();
}

static const zl_test tests[] = {
    TEST(test_stream_close_counts_the_unsent),
    TEST(test_stream_closed_with_its_loop),
    TEST(test_stream_close_in_own_callback),
    TEST(test_stream_close_in_a_report),
    TEST(test_stream_close_of_a_reported_neighbour),
    TEST(test_stream_refuses_what_it_cannot_watch),
    TEST(test_stream_fork_leaves_the_parent_alone),
};

TEST_MAIN(tests)
