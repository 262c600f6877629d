/* test_stream_term.c - the end of the context, and waits that do not spin.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "support/streams.h"
#include "test.h"

enum { DOOMED = 5 };

static void on_shutdown(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  (void)arg;
  zl_timer_close(timer);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
}

static void on_socket_error(zl_socket *watch, int events, void *arg) {
  (void)watch;
  CHECK_INT(events, ZL_ERROR);
  ++*(int *)arg;
}

/* Streams of several types and a watched socket, all of one context. */
typedef struct doomed {
  void *sockets[DOOMED + 1];
  zl_stream *streams[DOOMED];
  reports r[DOOMED];
  inbox in[DOOMED];
  zl_socket *watch;
  int watched;
} doomed;

static void open_doomed(doomed *d) {
  static const int types[DOOMED] = {ZMQ_PULL, ZMQ_REP, ZMQ_DEALER, ZMQ_REQ,
                                    ZMQ_PUSH};
  memset(d, 0, sizeof *d);
  for (int i = 0; i < DOOMED; i++) {
    d->sockets[i] = new_socket(context, types[i]);
    d->streams[i] = new_receiver(d->sockets[i], &d->in[i]);
    zl_stream_on_error(d->streams[i], on_error, &d->r[i]);
  }
  d->sockets[DOOMED] = new_socket(context, ZMQ_SUB);
  CHECK_INT(zl_socket_new(loop, d->sockets[DOOMED], ZL_READ, 0, on_socket_error,
                          &d->watched, &d->watch),
            0);
}

static void close_doomed(doomed *d) {
  for (int i = 0; i < DOOMED; i++) {
    CHECK_INT(zl_stream_close(d->streams[i]), i == 2 ? 1 : 0);
    close_socket(d->sockets[i]);
  }
  zl_socket_close(d->watch);
  close_socket(d->sockets[DOOMED]);
}

static int all_told(const doomed *d) {
  int told = d->watched;
  for (int i = 0; i < DOOMED; i++) {
    told += d->r[i].errors;
  }
  return told;
}

/* Runs the loop while the context ends: each is notified, once. */
static void shut_down(doomed *d) {
  start_timer(on_shutdown, 1 * MILLISECONDS);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  while (all_told(d) < DOOMED + 1) {
    CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  }
  for (int i = 0; i < DOOMED; i++) {
    CHECK_INT(d->r[i].errors, 1);
    CHECK_INT(d->r[i].error, -ETERM);
  }
  CHECK_INT(d->watched, 1);
}

static void terminated(int backend) {
  int reads = 0;
  doomed d;
  void *elsewhere = zmq_ctx_new();
  void *peer = new_socket(elsewhere, ZMQ_PUSH);
  begin_counting(backend, 0, &reads);
  open_doomed(&d);
  join_sockets(TCP, d.sockets[0], peer);
  send_text(peer, "m", 0);
  run_until(&d.in[0].messages, 1);
  zl_stream_on_recv(d.streams[1], NULL,
                    NULL); /* paused: notified all the same */
  CHECK_INT(send_one(d.streams[2], "unsendable", 3), ZL_QUEUED);
  shut_down(&d);
  CHECK(send_one(d.streams[2], "late", 0) < 0);
  CHECK_INT(zl_stream_queued(d.streams[2]), 1);
  /* Dead streams do not keep a run alive, and a wait does not spin, although
   * libzmq still signals new messages. */
  send_text(peer, "m", 0);
  rest();
  start_timer(on_nothing, 30 * MILLISECONDS);
  reads = 0;
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(reads < 50);
  CHECK_INT(all_told(&d), DOOMED + 1);
  CHECK_INT(zl_stream_flush(d.streams[0], ZL_READ | ZL_WRITE, -1), 0);
  close_doomed(&d);
  end();
  close_socket(peer);
  end_context(elsewhere);
}

static void test_stream_context_terminated(void) {
  terminated(ZL_BACKEND_DEFAULT);
}

static void test_stream_context_terminated_on_poll(void) {
  terminated(ZL_BACKEND_POLL);
}

/* It finds out by asking whether it may send after all. */
static void test_stream_context_terminated_while_only_sending(void) {
  for (int queued = 0; queued < 2; queued++) {
    reports r;
    memset(&r, 0, sizeof r);
    begin();
    push = new_socket(context, ZMQ_PUSH);
    zl_stream *stream = new_stream(push);
    zl_stream_on_error(stream, on_error, &r);
    CHECK_INT(step(), 0);
    if (queued) {
      CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
    }
    CHECK_INT(zmq_ctx_shutdown(context), 0);
    if (!queued) {
      CHECK_INT(send_one(stream, "m", 0), -ETERM);
    }
    CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
    CHECK_INT(r.errors, 1);
    CHECK_INT(zl_stream_close(stream), queued);
    close_socket(push);
    end();
  }
}

static void on_recv_only(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    ++*(int *)arg;
  }
}

/* In this state a receive fails without checking the context. */
static void test_stream_context_terminated_while_rep_owes_a_reply(void) {
  int requests = 0;
  reports r;
  memset(&r, 0, sizeof r);
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  void *req = new_socket(context, ZMQ_REQ);
  join_sockets(INPROC, rep, req);
  zl_stream *stream = new_stream(rep);
  zl_stream_on_recv(stream, on_recv_only, &requests);
  zl_stream_on_error(stream, on_error, &r);
  send_text(req, "m", 0);
  run_until(&requests, 1);
  CHECK_INT(step(), 0);
  start_timer(on_shutdown, 1 * MILLISECONDS);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK_INT(r.errors, 1);
  zl_stream_close(stream);
  close_socket(rep);
  close_socket(req);
  end();
}

/* Messages that libzmq took before the end were sent, and are reported
 * first. */
static void test_stream_context_terminated_with_reports_pending(void) {
  enum { SENT = 5 };
  reports r;
  memset(&r, 0, sizeof r);
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  CHECK_INT(zl_stream_set_batch(stream, 1), 0); /* of reports as well */
  zl_stream_on_sent(stream, on_sent, &r);
  zl_stream_on_error(stream, on_error, &r);
  for (uint64_t token = 1; token <= SENT; token++) {
    CHECK_INT(send_reported(stream, &r, token), 0);
  }
  CHECK_INT(zmq_ctx_shutdown(context), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK_INT(r.errors, 1);
  CHECK_INT(r.count, SENT);
  CHECK_INT(r.tokens[SENT - 1], SENT);
  CHECK(!zl_stream_busy(stream));
  CHECK_INT(zl_stream_close(stream), 0);
  end_pair();
}

static void on_error_and_close(zl_stream *stream, int rc, void *arg) {
  void *socket = *(void **)arg;
  CHECK_INT(rc, -ETERM);
  zl_stream_close(stream);
  close_socket(socket);
  *(void **)arg = NULL;
}

static void *terminate(void *unused) {
  (void)unused;
  rest();
  end_context(context); /* blocks until the socket is closed */
  return NULL;
}

static void test_stream_closed_when_a_thread_terminates_the_context(void) {
  inbox in;
  pthread_t thread;
  begin();
  pull = new_socket(context, ZMQ_PULL);
  zl_stream *stream = new_receiver(pull, &in);
  zl_stream_on_error(stream, on_error_and_close, &pull);
  CHECK_INT(pthread_create(&thread, NULL, terminate, NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK(!pull);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  close_loop(loop);
}

/* ---- no spinning -------------------------------------------------------- */

/* How often the loop reads the clock during a long wait: a few times if it
 * waits, thousands if it spins. */
static int looks_in_a_wait(int *reads) {
  start_timer(on_nothing, 30 * MILLISECONDS);
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  *reads = 0;
  for (int i = 0; i < 5; i++) {
    CHECK(zl_loop_step(loop, 3 * MILLISECONDS, NULL) >= 0);
  }
  return *reads;
}

/* Readable, which does not matter to it, and not writable, which does. */
static void paused_and_queued(int backend, int type, int peer_type) {
  int reads = 0;
  inbox in;
  char text[16];
  begin_counting(backend, 0, &reads);
  void *socket = new_socket(context, type);
  void *peer = new_socket(context, peer_type);
  set_option(socket, ZMQ_SNDHWM, 1);
  set_option(peer, ZMQ_RCVHWM, 1);
  join_sockets(INPROC, peer, socket);
  zl_stream *stream = new_stream(socket);
  while (send_one(stream, "m", 0) == 0) {
  }
  CHECK(zl_stream_busy(stream));
  (void)recv_text(peer, text, sizeof text);
  send_text(peer, "reply", 0);
  if (type == ZMQ_DEALER) { /* full again */
    (void)send_one(stream, "m", 0);
    CHECK(zl_loop_step(loop, 0, NULL) >= 0);
    while (send_one(stream, "m", 0) == 0) {
    }
  }
  CHECK(looks_in_a_wait(&reads) < 100);
  CHECK(zl_stream_queued(stream) > 0);
  memset(&in, 0, sizeof in);
  zl_stream_on_recv(stream, inbox_recv, &in);
  run_until(&in.messages, 1);
  zl_stream_close(stream);
  close_socket(socket);
  close_socket(peer);
  end();
}

static void test_stream_paused_with_a_queue_does_not_spin(void) {
  paused_and_queued(ZL_BACKEND_DEFAULT, ZMQ_REQ, ZMQ_REP);
  paused_and_queued(ZL_BACKEND_DEFAULT, ZMQ_DEALER, ZMQ_DEALER);
  paused_and_queued(ZL_BACKEND_POLL, ZMQ_REQ, ZMQ_REP);
  paused_and_queued(ZL_BACKEND_POLL, ZMQ_DEALER, ZMQ_DEALER);
}

/* A stream whose messages are not wanted, with every backend. */
static void paused_and_readable(int backend, unsigned flags) {
  int reads = 0;
  begin_counting(backend, flags, &reads);
  pull = new_socket(context, ZMQ_PULL);
  push = new_socket(context, ZMQ_PUSH);
  join_sockets(TCP, pull, push);
  zl_stream *stream = new_stream(pull);
  send_text(push, "m", 0);
  rest();
  CHECK(looks_in_a_wait(&reads) < 100);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_paused_with_messages_does_not_spin(void) {
  paused_and_readable(ZL_BACKEND_DEFAULT, 0);
  paused_and_readable(ZL_BACKEND_DEFAULT, ZL_CONFIG_TOUCH);
  paused_and_readable(ZL_BACKEND_POLL, 0);
}

/* Each connection sends the socket commands that are not messages. */
static void come_and_go(int backend) {
  enum { VISITORS = 10 };
  int reads = 0;
  inbox in;
  char endpoint[128];
  size_t size = sizeof endpoint;
  begin_counting(backend, 0, &reads);
  pull = new_socket(context, ZMQ_PULL);
  zl_stream *stream = new_receiver(pull, &in);
  new_endpoint(TCP, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(pull, endpoint), 0);
  zl_stream_touch(stream);
  CHECK_INT(zmq_getsockopt(pull, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
  zl_stream_used(stream);
  for (int i = 1; i <= VISITORS; i++) {
    push = new_socket(context, ZMQ_PUSH);
    CHECK_INT(zmq_connect(push, endpoint), 0);
    send_text(push, "m", 0);
    run_until(&in.messages, i);
    close_socket(push);
  }
  rest();
  CHECK(looks_in_a_wait(&reads) < 100);
  CHECK_INT(in.messages, VISITORS);
  zl_stream_close(stream);
  close_socket(pull);
  end();
}

static void test_stream_peers_that_come_and_go(void) {
  come_and_go(ZL_BACKEND_DEFAULT);
  come_and_go(ZL_BACKEND_POLL);
}

static const zl_test tests[] = {
    TEST(test_stream_context_terminated),
    TEST(test_stream_context_terminated_on_poll),
    TEST(test_stream_context_terminated_while_only_sending),
    TEST(test_stream_context_terminated_while_rep_owes_a_reply),
    TEST(test_stream_context_terminated_with_reports_pending),
    TEST(test_stream_closed_when_a_thread_terminates_the_context),
    TEST(test_stream_paused_with_a_queue_does_not_spin),
    TEST(test_stream_paused_with_messages_does_not_spin),
    TEST(test_stream_peers_that_come_and_go),
};

TEST_MAIN(tests)
