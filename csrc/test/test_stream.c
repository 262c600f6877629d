/* test_stream.c - receiving and sending on zmq sockets.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/clock.h"
#include "support/sockets.h"
#include "test.h"

/* What a stream received: frames joined by '|', messages ended by ';'. */
typedef struct inbox {
  char text[4096];
  int messages;
  int turns;
  int take; /* messages per call at most; 0: all */
} inbox;

static void append(inbox *in, const void *data, size_t size) {
  size_t used = strlen(in->text);
  CHECK(used + size < sizeof in->text);
  memcpy(in->text + used, data, size);
  in->text[used + size] = '\0';
}

static void append_message(inbox *in, zmq_msg_t *frames, int count) {
  for (int i = 0; i < count; i++) {
    if (i > 0) {
      append(in, "|", 1);
    }
    append(in, zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]));
  }
  append(in, ";", 1);
  in->messages++;
}

static void on_recv(zl_stream *stream, void *arg) {
  inbox *in = arg;
  zmq_msg_t *frames;
  int taken = 0;
  int count;
  in->turns++;
  while ((in->take == 0 || taken < in->take) &&
         (count = zl_stream_peek(stream, &frames)) > 0) {
    append_message(in, frames, count);
    zl_stream_pop(stream);
    taken++;
  }
}

/* ---- a loop, a context, and streams on sockets --------------------------- */

static zl_loop *loop;
static void *context;

static void begin(void) {
  loop = new_loop();
  context = zmq_ctx_new();
  CHECK(context);
}

static void end(void) {
  close_loop(loop);
  end_context(context);
}

static zl_stream *new_stream(void *socket) {
  zl_stream *stream;
  CHECK_INT(zl_stream_new(loop, socket, 0, &stream), 0);
  return stream;
}

static zl_stream *new_receiver(void *socket, inbox *in) {
  zl_stream *stream = new_stream(socket);
  memset(in, 0, sizeof *in);
  zl_stream_on_recv(stream, on_recv, in);
  return stream;
}

static int step(void) {
  int rc = zl_loop_step(loop, 0, NULL);
  CHECK(rc >= 0);
  verify_loop(loop);
  return rc & ~ZL_STEP_MORE;
}

/* The watchdog ends a wait for what never comes. */
static void run_until(const int *counter, int wanted) {
  while (*counter < wanted) {
    CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) >= 0);
    verify_loop(loop);
  }
  CHECK_INT(*counter, wanted);
}

static int send_one(zl_stream *stream, const char *text, uint64_t token) {
  zl_frame frame = {text, strlen(text)};
  return zl_stream_send(stream, &frame, 1, token);
}

static int send_two(zl_stream *stream, const char *a, const char *b,
                    uint64_t token) {
  zl_frame frames[2] = {{a, strlen(a)}, {b, strlen(b)}};
  return zl_stream_send(stream, frames, 2, token);
}

static void rest(void) {
  struct timespec t = {0, 20 * MILLISECONDS};
  (void)nanosleep(&t, NULL);
}

/* ---- receiving ------------------------------------------------------------
 */

static void test_stream_receives_in_batches(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(zl_stream_set_batch(stream, 0), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, -1), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, 65536), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, 65535), 0);
  CHECK_INT(zl_stream_set_batch(stream, 3), 0);
  for (int i = 0; i < 10; i++) {
    send_text(push, "m", 0);
  }
  static const int turns[] = {3, 3, 3, 1, 0};
  for (int i = 0; i < 5; i++) {
    CHECK_INT(step(), turns[i]);
  }
  CHECK_INT(in.messages, 10);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(pull);
  close_socket(push);
  end();
}

/* A callback that takes less than there is is called again. */
static void test_stream_leaves_what_is_not_taken(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  in.take = 1;
  send_text(push, "a", 0);
  send_text(push, "b", 0);
  send_text(push, "c", 0);
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 1);
  in.take = 0;
  send_text(push, "d", 0);
  CHECK_INT(step(), 2);
  CHECK(!strcmp(in.text, "a;b;c;d;"));
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void on_peek_only(zl_stream *stream, void *arg) {
  int *n = arg;
  zmq_msg_t *first;
  zmq_msg_t *second;
  CHECK_INT(zl_stream_peek(stream, &first), 2);
  CHECK_INT(zl_stream_peek(stream, &second), 2);
  CHECK(first == second);
  CHECK_INT(zmq_msg_size(&first[1]), 1);
  ++*n;
}

static void test_stream_holds_what_is_not_popped(void) {
  inbox in;
  int peeks = 0;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  zl_stream_on_recv(stream, on_peek_only, &peeks);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "c", 0);
  for (int i = 1; i <= 5; i++) {
    (void)step();
    CHECK_INT(peeks, i);
  }
  zl_stream_on_recv(stream, on_recv, &in);
  CHECK_INT(step(), 2);
  CHECK(!strcmp(in.text, "a|b;c;"));
  /* A held message is dropped with its stream. */
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  zl_stream_on_recv(stream, on_peek_only, &peeks);
  (void)step();
  CHECK_INT(peeks, 6);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void receive_multipart(transport kind) {
  enum { MANY = 40 };
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(kind, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "", 0);
  send_text(push, "", ZMQ_SNDMORE);
  send_text(push, "", 0);
  for (int i = 0; i < MANY; i++) {
    send_text(push, "x", ZMQ_SNDMORE);
  }
  send_text(push, "y", 0);
  run_until(&in.messages, 4);
  CHECK(!strncmp(in.text, "a||b;;|;x|x|", 12));
  CHECK(!strcmp(in.text + strlen(in.text) - 5, "|x|y;"));
  CHECK_INT(strlen(in.text), 8 + 2 * MANY + 2);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_receives_multipart_inproc(void) {
  receive_multipart(INPROC);
}

static void test_stream_receives_multipart_ipc(void) {
  receive_multipart(IPC);
}

static void test_stream_receives_multipart_tcp(void) {
  receive_multipart(TCP);
}

static void pending_messages(transport kind) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(kind, pull, push);
  for (int i = 0; i < 3; i++) {
    send_text(push, "m", 0);
  }
  rest(); /* the signal for them has been sent, and nobody has looked */
  zl_stream *stream = new_receiver(pull, &in);
  run_until(&in.messages, 3);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_on_a_socket_with_messages_pending(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    pending_messages(kind);
  }
}

static void test_stream_bound_after_connect_and_send(void) {
  inbox in;
  char endpoint[128];
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  new_endpoint(INPROC, endpoint, sizeof endpoint);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_connect(push, endpoint), 0);
  send_text(push, "early", 0);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_bind(pull, endpoint), 0);
  zl_stream_touch(stream);
  run_until(&in.messages, 1);
  CHECK(!strcmp(in.text, "early;"));
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

/* A receive made by other code, which takes a signal away. */
static void test_stream_socket_used_directly(void) {
  inbox in;
  char text[16];
  begin();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *peer = new_socket(context, ZMQ_DEALER);
  join_sockets(INPROC, dealer, peer);
  zl_stream *stream = new_receiver(dealer, &in);
  for (int i = 0; i < 200; i++) {
    in.text[0] = '\0';
    CHECK_INT(step(), 0);
    send_text(peer, "a", 0);
    send_text(peer, "b", 0);
    if (i % 2) {
      CHECK_INT(recv_text(dealer, text, sizeof text), 1);
    } else {
      send_text(dealer, "away", 0);
    }
    zl_stream_used(stream);
    run_until(&in.messages, in.messages + (i % 2 ? 1 : 2));
    CHECK(!strcmp(in.text, i % 2 ? "b;" : "a;b;"));
  }
  zl_stream_close(stream);
  close_socket(dealer);
  close_socket(peer);
  end();
}

typedef struct pauser {
  inbox in;
  int pause_at;
} pauser;

static void on_recv_and_pause(zl_stream *stream, void *arg) {
  pauser *p = arg;
  zmq_msg_t *frames;
  int count;
  while ((count = zl_stream_peek(stream, &frames)) > 0) {
    append_message(&p->in, frames, count);
    zl_stream_pop(stream);
    if (p->in.messages == p->pause_at) {
      zl_stream_on_recv(stream, NULL, NULL);
    }
  }
}

static void test_stream_pause_and_resume_lose_nothing(void) {
  static const char all[] = "0;1;2;3;4;5;6;7;8;9;";
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    begin();
    void *pull = new_socket(context, ZMQ_PULL);
    void *push = new_socket(context, ZMQ_PUSH);
    join_sockets(kind, pull, push);
    zl_stream *stream = new_stream(pull);
    pauser p;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < 10; i++) {
      char digit[2] = {(char)('0' + i), '\0'};
      send_text(push, digit, 0);
    }
    rest();
    CHECK_INT(step(), 0);
    for (p.pause_at = 2; p.pause_at <= 10; p.pause_at += 4) {
      zl_stream_on_recv(stream, on_recv_and_pause, &p);
      run_until(&p.in.messages, p.pause_at);
      CHECK_INT(step(), 0);
      CHECK(!zl_loop_alive(loop));
      rest();
      CHECK_INT(step(), 0);
    }
    CHECK(!strcmp(p.in.text, all));
    zl_stream_close(stream);
    close_socket(pull);
    close_socket(push);
    end();
  }
}

typedef struct breaker {
  inbox in;
  int stop; /* else break */
} breaker;

static void on_recv_and_break(zl_stream *stream, void *arg) {
  breaker *b = arg;
  zmq_msg_t *frames;
  int count = zl_stream_peek(stream, &frames);
  if (count == 0) {
    return;
  }
  append_message(&b->in, frames, count);
  zl_stream_pop(stream);
  if (b->stop) {
    zl_loop_stop(loop);
  } else {
    zl_loop_break(loop);
    CHECK_INT(zl_stream_peek(stream, &frames), 0);
  }
}

static void test_stream_break_and_stop_lose_nothing(void) {
  for (int stop = 0; stop < 2; stop++) {
    begin();
    void *pull = new_socket(context, ZMQ_PULL);
    void *push = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pull, push);
    zl_stream *stream = new_stream(pull);
    breaker b;
    memset(&b, 0, sizeof b);
    b.stop = stop;
    zl_stream_on_recv(stream, on_recv_and_break, &b);
    send_text(push, "a", 0);
    send_text(push, "b", 0);
    send_text(push, "c", 0);
    for (int i = 1; i <= 3; i++) {
      CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), stop ? 0 : -EINTR);
      CHECK_INT(b.in.messages, i);
    }
    CHECK(!strcmp(b.in.text, "a;b;c;"));
    zl_stream_close(stream);
    close_socket(pull);
    close_socket(push);
    end();
  }
}

static void test_stream_busy_ones_alternate(void) {
  enum { EACH = 20, BATCH = 2 };
  inbox in[2];
  void *pull[2];
  void *push[2];
  zl_stream *stream[2];
  begin();
  for (int i = 0; i < 2; i++) {
    pull[i] = new_socket(context, ZMQ_PULL);
    push[i] = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pull[i], push[i]);
    stream[i] = new_receiver(pull[i], &in[i]);
    CHECK_INT(zl_stream_set_batch(stream[i], BATCH), 0);
    for (int k = 0; k < EACH; k++) {
      send_text(push[i], "m", 0);
    }
  }
  for (int k = BATCH; k <= EACH; k += BATCH) {
    CHECK_INT(step(), 2 * BATCH);
    CHECK_INT(in[0].messages, k);
    CHECK_INT(in[1].messages, k);
  }
  /* Under a budget of one batch each has its turn. */
  zl_budget budget = {.events = BATCH};
  for (int i = 0; i < 2; i++) {
    in[i].messages = 0;
    for (int k = 0; k < EACH; k++) {
      send_text(push[i], "m", 0);
    }
  }
  for (int k = 1; k <= EACH / BATCH; k++) {
    CHECK(zl_loop_step(loop, 0, &budget) >= BATCH);
    CHECK(zl_loop_step(loop, 0, &budget) >= BATCH);
    CHECK_INT(in[0].messages, k * BATCH);
    CHECK_INT(in[1].messages, k * BATCH);
  }
  for (int i = 0; i < 2; i++) {
    zl_stream_close(stream[i]);
    close_socket(pull[i]);
    close_socket(push[i]);
  }
  end();
}

/* ---- sending ----------------------------------------------------------------
 */

static void test_stream_sends_at_once(void) {
  char text[64];
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    begin();
    void *pull = new_socket(context, ZMQ_PULL);
    void *push = new_socket(context, ZMQ_PUSH);
    join_sockets(kind, pull, push);
    zl_stream *stream = new_stream(push);
    zl_frame frames[3] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    CHECK_INT(zl_stream_send(stream, frames, 3, 0), 0);
    CHECK_INT(send_one(stream, "d", 0), 0);
    CHECK_INT(zl_stream_send(stream, frames, 0, 0), -EINVAL);
    CHECK_INT(zl_stream_queued(stream), 0);
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    CHECK_INT(recv_text(pull, text, sizeof text), 0);
    CHECK_INT(recv_text(pull, text, sizeof text), 2);
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    CHECK(!strcmp(text, "d"));
    CHECK_INT(zl_stream_close(stream), 0);
    close_socket(pull);
    close_socket(push);
    end();
  }
}

typedef struct sequence {
  int next;  /* number expected */
  int parts; /* of each message */
} sequence;

static void on_sequence(zl_stream *stream, void *arg) {
  sequence *s = arg;
  zmq_msg_t *frames;
  int count;
  while ((count = zl_stream_peek(stream, &frames)) > 0) {
    int number;
    CHECK_INT(count, s->parts);
    CHECK_INT(zmq_msg_size(&frames[count - 1]), sizeof number);
    memcpy(&number, zmq_msg_data(&frames[count - 1]), sizeof number);
    CHECK_INT(number, s->next);
    zl_stream_pop(stream);
    s->next++;
  }
}

static int send_number(zl_stream *stream, int parts, int number,
                       uint64_t token) {
  zl_frame frames[3] = {{"x", 1}, {"", 0}, {"", 0}};
  frames[parts - 1] = (zl_frame){&number, sizeof number};
  return zl_stream_send(stream, frames, (size_t)parts, token);
}

/* Nobody is there yet; later there is, and takes less than is queued. */
static void send_without_a_peer(transport kind, int parts) {
  enum { MESSAGES = 3000 };
  sequence s = {0, parts};
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  set_option(push, ZMQ_SNDHWM, 10);
  set_option(pull, ZMQ_RCVHWM, 10);
  zl_stream *sender = new_stream(push);
  for (int i = 0; i < MESSAGES; i++) {
    CHECK_INT(send_number(sender, parts, i, 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_queued(sender), MESSAGES);
  CHECK_INT(step(), 0);
  CHECK(zl_loop_alive(loop));
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, on_sequence, &s);
  join_sockets(kind, pull, push);
  zl_stream_touch(sender);
  zl_stream_touch(receiver);
  run_until(&s.next, MESSAGES);
  CHECK_INT(zl_stream_queued(sender), 0);
  CHECK_INT(send_number(sender, parts, MESSAGES, 0), 0);
  run_until(&s.next, MESSAGES + 1);
  CHECK_INT(zl_stream_close(sender), 0);
  zl_stream_close(receiver);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_queues_without_a_peer_inproc(void) {
  send_without_a_peer(INPROC, 1);
  send_without_a_peer(INPROC, 3);
}

static void test_stream_queues_without_a_peer_ipc(void) {
  send_without_a_peer(IPC, 2);
}

static void test_stream_queues_without_a_peer_tcp(void) {
  send_without_a_peer(TCP, 1);
  send_without_a_peer(TCP, 3);
}

/* The peer comes by itself, without a touch. */
static void test_stream_queue_leaves_when_a_peer_connects(void) {
  char endpoint[128];
  size_t size = sizeof endpoint;
  sequence s = {0, 1};
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  new_endpoint(TCP, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(push, endpoint), 0);
  CHECK_INT(zmq_getsockopt(push, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
  zl_stream *sender = new_stream(push);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(send_number(sender, 1, i, 0), ZL_QUEUED);
  }
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_connect(pull, endpoint), 0);
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, on_sequence, &s);
  run_until(&s.next, 100);
  zl_stream_close(sender);
  zl_stream_close(receiver);
  close_socket(pull);
  close_socket(push);
  end();
}

/* ---- reports of what was sent -----------------------------------------------
 */

typedef struct reports {
  uint64_t tokens[64];
  int status[64];
  int count;
  int inside_send; /* reports are for the loop to make */
  int errors;
  int error; /* the last one */
} reports;

static void on_sent(zl_stream *stream, uint64_t token, int status, void *arg) {
  reports *r = arg;
  (void)stream;
  CHECK(!r->inside_send);
  CHECK(r->count < 64);
  r->tokens[r->count] = token;
  r->status[r->count] = status;
  r->count++;
}

static void on_error(zl_stream *stream, int rc, void *arg) {
  reports *r = arg;
  (void)stream;
  CHECK(!r->inside_send);
  r->errors++;
  r->error = rc;
}

static int send_reported(zl_stream *stream, reports *r, uint64_t token) {
  r->inside_send = 1;
  int rc = send_one(stream, "m", token);
  r->inside_send = 0;
  return rc;
}

static void test_stream_reports_in_order_from_the_loop(void) {
  reports r;
  memset(&r, 0, sizeof r);
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  set_option(push, ZMQ_SNDHWM, 3);
  set_option(pull, ZMQ_RCVHWM, 3);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent, &r);
  uint64_t tokens = 0;
  int queued = 0;
  for (int i = 0; i < 20; i++) { /* every third without a token */
    int rc = send_reported(stream, &r, i % 3 == 2 ? 0 : ++tokens);
    CHECK(rc == 0 || rc == ZL_QUEUED);
    CHECK(!queued || rc == ZL_QUEUED);
    queued += rc == ZL_QUEUED;
  }
  CHECK(queued > 0 && queued < 20);
  CHECK_INT(r.count, 0);
  (void)step();
  CHECK(r.count > 0 && r.count < (int)tokens);
  inbox in;
  zl_stream *receiver = new_receiver(pull, &in);
  run_until(&in.messages, 20);
  run_until(&r.count, (int)tokens);
  for (int i = 0; i < r.count; i++) {
    CHECK_INT(r.tokens[i], i + 1);
    CHECK_INT(r.status[i], 0);
  }
  CHECK_INT(step(), 0);
  CHECK_INT(r.errors, 0);
  zl_stream_close(receiver);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(pull);
  close_socket(push);
  end();
}

static void on_sent_and_send(zl_stream *stream, uint64_t token, int status,
                             void *arg) {
  on_sent(stream, token, status, arg);
  if (token < 10) {
    CHECK_INT(send_reported(stream, arg, token + 1), 0);
  }
}

static void test_stream_send_in_a_report(void) {
  reports r;
  memset(&r, 0, sizeof r);
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent_and_send, &r);
  CHECK_INT(send_reported(stream, &r, 1), 0);
  run_until(&r.count, 10);
  CHECK_INT(r.tokens[9], 10);
  CHECK_INT(step(), 0);
  CHECK(!zl_loop_alive(loop));
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_refused_messages(void) {
  reports r;
  inbox in;
  memset(&r, 0, sizeof r);
  begin();
  void *router = new_socket(context, ZMQ_ROUTER);
  void *dealer = new_socket(context, ZMQ_DEALER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  set_option(router, ZMQ_SNDHWM, 2);
  set_option(dealer, ZMQ_RCVHWM, 2);
  CHECK_INT(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "peer", 4), 0);
  join_sockets(INPROC, router, dealer);
  zl_stream *stream = new_receiver(router, &in);
  zl_stream_on_sent(stream, on_sent, &r);
  zl_stream_on_error(stream, on_error, &r);
  CHECK_INT(send_two(stream, "ghost", "m", 7), -EHOSTUNREACH);
  CHECK_INT(zl_stream_queued(stream), 0);
  send_text(dealer, "hello", 0);
  run_until(&in.messages, 1);
  int accepted = 0;
  int rc;
  while ((rc = send_two(stream, "peer", "m", 0)) == 0) {
    accepted++;
    CHECK(accepted < 100);
  }
  CHECK_INT(rc, ZL_QUEUED);
  accepted++;
  CHECK_INT(send_two(stream, "ghost", "m", 7), ZL_QUEUED);
  CHECK_INT(send_two(stream, "peer", "m", 8), ZL_QUEUED);
  CHECK_INT(send_two(stream, "ghost", "m", 0), ZL_QUEUED);
  CHECK_INT(send_two(stream, "peer", "m", 9), ZL_QUEUED);
  accepted += 2;
  CHECK_INT(zl_stream_queued(stream), 5);
  inbox out;
  zl_stream *receiver = new_receiver(dealer, &out);
  run_until(&out.messages, accepted);
  run_until(&r.count, 3);
  CHECK(r.tokens[0] == 7 && r.status[0] == -EHOSTUNREACH);
  CHECK(r.tokens[1] == 8 && r.status[1] == 0);
  CHECK(r.tokens[2] == 9 && r.status[2] == 0);
  CHECK_INT(r.errors, 1);
  CHECK_INT(r.error, -EHOSTUNREACH);
  zl_stream_close(receiver);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* A type that never receives goes on sending. */
static void test_stream_receive_on_a_type_that_cannot(void) {
  inbox in;
  reports r;
  char text[8];
  memset(&r, 0, sizeof r);
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(push, &in);
  zl_stream_on_error(stream, on_error, &r);
  CHECK_INT(step(), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  CHECK_INT(send_one(stream, "m", 0), 0);
  CHECK_INT(recv_text(pull, text, sizeof text), 1);
  CHECK_INT(r.errors, 0);
  CHECK_INT(zl_loop_step(loop, 1 * MILLISECONDS, NULL), 0);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_send_on_a_type_that_cannot(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(send_one(stream, "m", 1), -ENOTSUP);
  CHECK_INT(zl_stream_queued(stream), 0);
  /* It still receives. */
  send_text(push, "a", 0);
  run_until(&in.messages, 1);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

/* ---- patterns
 * ----------------------------------------------------------------- */

enum { CLIENTS = 5 };

typedef struct replier {
  zl_timer *timer; /* NULL: replies at once */
  zl_stream *stream;
  int requests;
  int owed;
} replier;

static void on_request(zl_stream *stream, void *arg) {
  replier *r = arg;
  zmq_msg_t *frames;
  while (zl_stream_peek(stream, &frames) > 0) {
    CHECK_INT(r->owed, 0);
    zl_stream_pop(stream);
    r->requests++;
    if (r->timer) {
      r->owed = 1;
      CHECK_INT(zl_timer_start(r->timer, 1 * MILLISECONDS, 0), 0);
    } else {
      CHECK_INT(send_one(stream, "reply", 0), 0);
    }
  }
}

static void on_reply_time(zl_timer *timer, uint64_t missed, void *arg) {
  replier *r = arg;
  (void)timer;
  (void)missed;
  r->owed = 0;
  CHECK_INT(send_one(r->stream, "reply", 0), 0);
}

/* All requests are there before the first is answered: nothing signals the
 * second. */
static void serve_clients(transport kind, int later) {
  char endpoint[128];
  size_t size = sizeof endpoint;
  void *client[CLIENTS];
  replier r = {NULL, NULL, 0, 0};
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  new_endpoint(kind, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(rep, endpoint), 0);
  if (kind == TCP) {
    CHECK_INT(zmq_getsockopt(rep, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
  }
  for (int i = 0; i < CLIENTS; i++) {
    client[i] = new_socket(context, ZMQ_REQ);
    CHECK_INT(zmq_connect(client[i], endpoint), 0);
    send_text(client[i], "request", 0);
  }
  rest();
  r.stream = new_stream(rep);
  if (later) {
    CHECK_INT(zl_timer_new(loop, on_reply_time, &r, &r.timer), 0);
  }
  zl_stream_on_recv(r.stream, on_request, &r);
  run_until(&r.requests, CLIENTS);
  if (later) {
    while (r.owed) {
      CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) >= 0);
    }
    zl_timer_close(r.timer);
  }
  for (int i = 0; i < CLIENTS; i++) {
    char text[16];
    CHECK_INT(recv_text(client[i], text, sizeof text), 5);
    close_socket(client[i]);
  }
  zl_stream_close(r.stream);
  close_socket(rep);
  end();
}

static void test_stream_rep_replies_later(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    serve_clients(kind, 1);
  }
}

static void test_stream_rep_replies_at_once(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    serve_clients(kind, 0);
  }
}

static void test_stream_req_second_request_waits_for_the_reply(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    inbox in;
    reports sent;
    replier r = {NULL, NULL, 0, 0};
    memset(&sent, 0, sizeof sent);
    begin();
    void *rep = new_socket(context, ZMQ_REP);
    void *req = new_socket(context, ZMQ_REQ);
    join_sockets(kind, rep, req);
    zl_stream *client = new_receiver(req, &in);
    zl_stream_on_sent(client, on_sent, &sent);
    CHECK_INT(send_one(client, "first", 1), 0);
    CHECK_INT(send_one(client, "second", 2), ZL_QUEUED);
    CHECK_INT(send_one(client, "third", 3), ZL_QUEUED);
    (void)step();
    CHECK_INT(sent.count, 1);
    r.stream = new_stream(rep);
    zl_stream_on_recv(r.stream, on_request, &r);
    run_until(&in.messages, 3);
    CHECK_INT(r.requests, 3);
    CHECK_INT(sent.count, 3);
    CHECK_INT(zl_stream_queued(client), 0);
    zl_stream_close(client);
    zl_stream_close(r.stream);
    close_socket(rep);
    close_socket(req);
    end();
  }
}

static void on_echo(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  int count;
  while ((count = zl_stream_peek(stream, &frames)) > 0) {
    zl_frame copy[4];
    CHECK(count <= 4);
    for (int i = 0; i < count; i++) {
      copy[i].data = zmq_msg_data(&frames[i]);
      copy[i].size = zmq_msg_size(&frames[i]);
    }
    CHECK(zl_stream_send(stream, copy, (size_t)count, 0) >= 0);
    zl_stream_pop(stream);
    ++*(int *)arg;
  }
}

static void echo(transport kind) {
  enum { MESSAGES = 2000 };
  sequence s = {0, 2};
  int echoed = 0;
  begin();
  void *router = new_socket(context, ZMQ_ROUTER);
  void *dealer = new_socket(context, ZMQ_DEALER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  set_option(router, ZMQ_SNDHWM, 3);
  set_option(router, ZMQ_RCVHWM, 3);
  set_option(dealer, ZMQ_SNDHWM, 3);
  set_option(dealer, ZMQ_RCVHWM, 3);
  join_sockets(kind, router, dealer);
  zl_stream *server = new_stream(router);
  zl_stream *client = new_stream(dealer);
  zl_stream_on_recv(server, on_echo, &echoed);
  zl_stream_on_recv(client, on_sequence, &s);
  for (int i = 0; i < MESSAGES; i++) {
    CHECK(send_number(client, 2, i, 0) >= 0);
  }
  run_until(&s.next, MESSAGES);
  CHECK_INT(echoed, MESSAGES);
  CHECK_INT(zl_stream_queued(client), 0);
  CHECK_INT(zl_stream_queued(server), 0);
  zl_stream_close(client);
  zl_stream_close(server);
  close_socket(router);
  close_socket(dealer);
  end();
}

static void test_stream_echo_through_small_buffers_inproc(void) {
  echo(INPROC);
}

static void test_stream_echo_through_small_buffers_ipc(void) {
  echo(IPC);
}

static void test_stream_echo_through_small_buffers_tcp(void) {
  echo(TCP);
}

/* ---- flush
 * -------------------------------------------------------------------- */

static void test_stream_flush_receives_exactly(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  for (int i = 0; i < 100; i++) {
    send_text(push, "m", 0);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 0), 0);
  CHECK_INT(in.messages, 0);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 1), 1);
  CHECK_INT(in.messages, 1);
  CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, 7), 7);
  CHECK_INT(in.messages, 8);
  /* More than a batch, and less than wanted. */
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 1000), 92);
  CHECK_INT(in.messages, 100);
  /* A callback that takes one at a time is called again. */
  for (int i = 0; i < 10; i++) {
    send_text(push, "m", 0);
  }
  in.take = 1;
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 4), 4);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 6);
  CHECK_INT(in.messages, 110);
  /* Nothing is left behind that the loop would not find. */
  send_text(push, "m", 0);
  run_until(&in.messages, 111);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_flush_without_callback_discards(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(pull);
  for (int i = 0; i < 10; i++) {
    send_text(push, "old", 0);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 4), 4);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 6);
  send_text(push, "new", 0);
  memset(&in, 0, sizeof in);
  zl_stream_on_recv(stream, on_recv, &in);
  run_until(&in.messages, 1);
  CHECK(!strcmp(in.text, "new;"));
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_flush_sends_exactly(void) {
  char text[8];
  reports r;
  memset(&r, 0, sizeof r);
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent, &r);
  for (uint64_t i = 1; i <= 10; i++) {
    CHECK_INT(send_reported(stream, &r, i), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  join_sockets(INPROC, pull, push);
  zl_stream_touch(stream);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 0), 0);
  CHECK_INT(zl_stream_queued(stream), 10);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 1), 1);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 4), 4);
  CHECK_INT(zl_stream_queued(stream), 5);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 5);
  for (int i = 0; i < 10; i++) {
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
  }
  run_until(&r.count, 10);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(pull);
  close_socket(push);
  end();
}

/* What the callbacks send in reply goes out as well. */
static void test_stream_flush_sends_the_replies(void) {
  int echoed = 0;
  char text[8];
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  void *req = new_socket(context, ZMQ_REQ);
  join_sockets(INPROC, rep, req);
  zl_stream *stream = new_stream(rep);
  zl_stream_on_recv(stream, on_echo, &echoed);
  send_text(req, "m", 0);
  CHECK(zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1) >= 1);
  CHECK_INT(recv_text(req, text, sizeof text), 1);
  zl_stream_close(stream);
  close_socket(rep);
  close_socket(req);
  end();
}

/* ---- closing
 * ------------------------------------------------------------------ */

static void test_stream_close_counts_the_unsent(void) {
  char text[8];
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(push);
  CHECK_INT(zl_stream_close(NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(send_one(stream, "a", 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_close(stream), 3);
  /* What libzmq will take is handed to it. */
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
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_stream_closed_with_its_loop(void) {
  inbox in;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
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
  zmq_msg_t *frames;
  CHECK(stream == c->self);
  if (c->peek_first) {
    if (zl_stream_peek(stream, &frames) == 0) {
      return; /* looked at, and nothing there */
    }
    zl_stream_pop(stream);
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
    begin();
    void *pull = new_socket(context, ZMQ_PULL);
    void *push = new_socket(context, ZMQ_PUSH);
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
    close_socket(pull);
    close_socket(push);
    end();
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
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent_and_close, &r);
  CHECK_INT(send_reported(stream, &r, 1), 0);
  CHECK_INT(send_reported(stream, &r, 2), 0);
  (void)step();
  CHECK_INT(r.count, 1);
  CHECK_INT(step(), 0);
  close_socket(pull);
  close_socket(push);
  end();
}

/* Both have messages when the turn begins. */
static void test_stream_close_of_a_reported_neighbour(void) {
  int calls = 0;
  void *pull[2];
  void *push[2];
  zl_stream *stream[2];
  closer c[2];
  begin();
  for (int i = 0; i < 2; i++) {
    pull[i] = new_socket(context, ZMQ_PULL);
    push[i] = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pull[i], push[i]);
    stream[i] = new_stream(pull[i]);
  }
  for (int i = 0; i < 2; i++) {
    c[i] = (closer){stream[i], &stream[1 - i], &calls, 1};
    zl_stream_on_recv(stream[i], on_recv_and_close, &c[i]);
  }
  CHECK_INT(step(), 0);
  for (int i = 0; i < 2; i++) {
    send_text(push[i], "m", 0);
  }
  (void)step();
  CHECK_INT(calls, 1);
  CHECK(!stream[0] != !stream[1]);
  CHECK_INT(step(), 0);
  for (int i = 0; i < 2; i++) {
    zl_stream_close(stream[i]);
    close_socket(pull[i]);
    close_socket(push[i]);
  }
  end();
}

/* ---- refusals
 * ----------------------------------------------------------------- */

static void test_stream_refuses_what_it_cannot_watch(void) {
  zl_stream *second = (zl_stream *)&context;
  zl_socket *watch;
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
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

/* ---- the end of the context
 * ----------------------------------------------------- */

enum { DOOMED = 5 };

static int64_t count_clock(void *ud) {
  struct timespec now;
  ++*(int *)ud;
  CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return now.tv_sec * SECONDS + now.tv_nsec;
}

static void on_shutdown(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  (void)arg;
  zl_timer_close(timer);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
}

static void on_nothing(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  (void)arg;
  zl_timer_close(timer);
}

static void start_timer(zl_timer_fn fn, int64_t delay) {
  zl_timer *timer;
  CHECK_INT(zl_timer_new(loop, fn, NULL, &timer), 0);
  CHECK_INT(zl_timer_start(timer, delay, 0), 0);
}

static void on_socket_error(zl_socket *watch, int events, void *arg) {
  (void)watch;
  CHECK_INT(events, ZL_ERROR);
  ++*(int *)arg;
}

static int all_told(const reports *r, int watched) {
  int told = watched;
  for (int i = 0; i < DOOMED; i++) {
    told += r[i].errors;
  }
  return told;
}

static void terminated(int backend) {
  int reads = 0;
  zl_config config = {.size = sizeof config,
                      .backend = backend,
                      .clock = count_clock,
                      .clock_ud = &reads};
  static const int types[DOOMED] = {ZMQ_PULL, ZMQ_REP, ZMQ_DEALER, ZMQ_REQ,
                                    ZMQ_PUSH};
  void *sockets[DOOMED + 1];
  zl_stream *streams[DOOMED];
  reports r[DOOMED];
  inbox in[DOOMED];
  zl_socket *watch;
  int watched = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  context = zmq_ctx_new();
  memset(r, 0, sizeof r);
  for (int i = 0; i < DOOMED; i++) {
    sockets[i] = new_socket(context, types[i]);
    streams[i] = new_receiver(sockets[i], &in[i]);
    zl_stream_on_error(streams[i], on_error, &r[i]);
  }
  zl_stream_on_recv(streams[1], NULL, NULL); /* paused: is told all the same */
  CHECK_INT(send_one(streams[2], "unsendable", 3), ZL_QUEUED);
  sockets[DOOMED] = new_socket(context, ZMQ_SUB);
  CHECK_INT(zl_socket_new(loop, sockets[DOOMED], ZL_READ, 0, on_socket_error,
                          &watched, &watch),
            0);
  start_timer(on_shutdown, 1 * MILLISECONDS);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  while (all_told(r, watched) < DOOMED + 1) {
    CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  }
  for (int i = 0; i < DOOMED; i++) {
    CHECK_INT(r[i].errors, 1);
    CHECK_INT(r[i].error, -ETERM);
  }
  CHECK_INT(watched, 1);
  CHECK(send_one(streams[2], "late", 0) < 0);
  CHECK_INT(zl_stream_queued(streams[2]), 1);
  /* Dead ones do not keep a run alive, and a wait is a wait. */
  start_timer(on_nothing, 30 * MILLISECONDS);
  reads = 0;
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(reads < 50);
  CHECK_INT(all_told(r, watched), DOOMED + 1);
  CHECK_INT(zl_stream_flush(streams[0], ZL_READ | ZL_WRITE, -1), 0);
  for (int i = 0; i < DOOMED; i++) {
    CHECK_INT(zl_stream_close(streams[i]), i == 2 ? 1 : 0);
    close_socket(sockets[i]);
  }
  zl_socket_close(watch);
  close_socket(sockets[DOOMED]);
  end();
}

static void test_stream_context_terminated(void) {
  terminated(ZL_BACKEND_DEFAULT);
}

static void test_stream_context_terminated_on_poll(void) {
  terminated(ZL_BACKEND_POLL);
}

static void on_recv_only(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  while (zl_stream_peek(stream, &frames) > 0) {
    zl_stream_pop(stream);
    ++*(int *)arg;
  }
}

/* In this state a receive fails without looking whether the context is there.
 */
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
  void *pull = new_socket(context, ZMQ_PULL);
  zl_stream *stream = new_receiver(pull, &in);
  zl_stream_on_error(stream, on_error_and_close, &pull);
  CHECK_INT(pthread_create(&thread, NULL, terminate, NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK(!pull);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  close_loop(loop);
}

/* ---- fork
 * ----------------------------------------------------------------------- */

/* Not CHECK: a failure must not go on with the other tests in the child. */
static int in_child(zl_stream *stream, zl_fd *watch) {
  if (zl_loop_run(loop, ZL_RUN_FOREVER) != -ECHILD) {
    return 1;
  }
  if (zl_loop_step(loop, 0, NULL) != -ECHILD) {
    return 2;
  }
  zl_stream_close(stream);
  zl_fd_close(watch);
  return zl_loop_close(loop) == 0 ? 0 : 3;
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
  begin();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(TCP, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd_byte, &bytes, &watch), 0);
  send_text(push, "before", 0);
  run_until(&in.messages, 1);
  pid_t child = fork();
  if (child == 0) {
    _exit(in_child(stream, watch));
  }
  CHECK(child > 0);
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK_INT(WEXITSTATUS(status), 0);
  send_text(push, "after", 0);
  run_until(&in.messages, 2);
  CHECK_INT(write(ends[1], "", 1), 1);
  run_until(&bytes, 1);
  zl_fd_close(watch);
  (void)close(ends[0]);
  (void)close(ends[1]);
  zl_stream_close(stream);
  close_socket(pull);
  close_socket(push);
  end();
}

static const zl_test tests[] = {
    TEST(test_stream_receives_in_batches),
    TEST(test_stream_leaves_what_is_not_taken),
    TEST(test_stream_holds_what_is_not_popped),
    TEST(test_stream_receives_multipart_inproc),
    TEST(test_stream_receives_multipart_ipc),
    TEST(test_stream_receives_multipart_tcp),
    TEST(test_stream_on_a_socket_with_messages_pending),
    TEST(test_stream_bound_after_connect_and_send),
    TEST(test_stream_socket_used_directly),
    TEST(test_stream_pause_and_resume_lose_nothing),
    TEST(test_stream_break_and_stop_lose_nothing),
    TEST(test_stream_busy_ones_alternate),
    TEST(test_stream_sends_at_once),
    TEST(test_stream_queues_without_a_peer_inproc),
    TEST(test_stream_queues_without_a_peer_ipc),
    TEST(test_stream_queues_without_a_peer_tcp),
    TEST(test_stream_queue_leaves_when_a_peer_connects),
    TEST(test_stream_reports_in_order_from_the_loop),
    TEST(test_stream_send_in_a_report),
    TEST(test_stream_refused_messages),
    TEST(test_stream_receive_on_a_type_that_cannot),
    TEST(test_stream_send_on_a_type_that_cannot),
    TEST(test_stream_rep_replies_later),
    TEST(test_stream_rep_replies_at_once),
    TEST(test_stream_req_second_request_waits_for_the_reply),
    TEST(test_stream_echo_through_small_buffers_inproc),
    TEST(test_stream_echo_through_small_buffers_ipc),
    TEST(test_stream_echo_through_small_buffers_tcp),
    TEST(test_stream_flush_receives_exactly),
    TEST(test_stream_flush_without_callback_discards),
    TEST(test_stream_flush_sends_exactly),
    TEST(test_stream_flush_sends_the_replies),
    TEST(test_stream_close_counts_the_unsent),
    TEST(test_stream_closed_with_its_loop),
    TEST(test_stream_close_in_own_callback),
    TEST(test_stream_close_in_a_report),
    TEST(test_stream_close_of_a_reported_neighbour),
    TEST(test_stream_refuses_what_it_cannot_watch),
    TEST(test_stream_context_terminated),
    TEST(test_stream_context_terminated_on_poll),
    TEST(test_stream_context_terminated_while_rep_owes_a_reply),
    TEST(test_stream_closed_when_a_thread_terminates_the_context),
    TEST(test_stream_fork_leaves_the_parent_alone),
};

TEST_MAIN(tests)
