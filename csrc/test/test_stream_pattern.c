/* test_stream_pattern.c - REQ, REP and echoes through streams.
 * SPDX-License-Identifier: MIT
 */
#include <string.h>

#include "support/streams.h"
#include "test.h"

enum { CLIENTS = 5 };

typedef struct replier {
  zl_timer *timer; /* NULL: replies at once */
  zl_stream *stream;
  int requests;
  int owed;
} replier;

static void on_request(zl_stream *stream, void *arg) {
  replier *r = arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    CHECK_INT(r->owed, 0);
    zl_stream_accept(stream);
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

/* All requests have arrived before the first is answered: nothing signals the
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

/* A client that has asked, and the stream that has seen the request. */
static void ask_and_wait(void *client, replier *r) {
  send_text(client, "request", 0);
  run_until(&r->requests, r->requests + 1);
}

static void test_stream_rep_answers_each_request_once(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    char text[16];
    replier r = {NULL, NULL, 0, 0};
    begin();
    void *rep = new_socket(context, ZMQ_REP);
    void *req = new_socket(context, ZMQ_REQ);
    join_sockets(kind, rep, req);
    r.stream = new_stream(rep);
    CHECK_INT(send_one(r.stream, "stray", 0), -EFSM);
    CHECK_INT(send_one(r.stream, "stray", 1), -EFSM);
    zl_stream_on_recv(r.stream, on_request, &r);
    for (int i = 0; i < 2; i++) {
      ask_and_wait(req, &r);
      CHECK_INT(recv_text(req, text, sizeof text), 5); /* "reply" */
      CHECK_INT(send_one(r.stream, "again", 0), -EFSM);
      CHECK_INT(send_two(r.stream, "and", "again", 1), -EFSM);
      CHECK_INT(zl_stream_queued(r.stream), 0);
    }
    zl_stream_close(r.stream);
    close_socket(req);
    close_socket(rep);
    end();
  }
}

static void on_request_with_an_early_reply(zl_stream *stream, void *arg) {
  replier *r = arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    r->requests++;
    CHECK_INT(send_one(stream, "reply", 0), -EFSM);
  }
}

static void test_stream_rep_queues_an_early_reply_on_purpose(void) {
  char text[16];
  replier r = {NULL, NULL, 0, 0};
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  void *req = new_socket(context, ZMQ_REQ);
  join_sockets(INPROC, rep, req);
  r.stream = new_stream(rep);
  zl_stream_early(r.stream, 1);
  CHECK_INT(send_one(r.stream, "early!", 0), ZL_QUEUED);
  zl_stream_early(r.stream, 0);
  CHECK_INT(send_one(r.stream, "stray", 0), -EFSM);
  zl_stream_on_recv(r.stream, on_request_with_an_early_reply, &r);
  ask_and_wait(req, &r);
  CHECK_INT(recv_text(req, text, sizeof text), 6);
  CHECK_INT(zl_stream_queued(r.stream), 0);
  zl_stream_close(r.stream);
  close_socket(req);
  close_socket(rep);
  end();
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
  zl_stream_on_recv(server, echo_recv, &echoed);
  zl_stream_on_recv(client, sequence_recv, &s);
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

static const zl_test tests[] = {
    TEST(test_stream_rep_replies_later),
    TEST(test_stream_rep_replies_at_once),
    TEST(test_stream_rep_answers_each_request_once),
    TEST(test_stream_rep_queues_an_early_reply_on_purpose),
    TEST(test_stream_req_second_request_waits_for_the_reply),
    TEST(test_stream_echo_through_small_buffers_inproc),
    TEST(test_stream_echo_through_small_buffers_ipc),
    TEST(test_stream_echo_through_small_buffers_tcp),
};

TEST_MAIN(tests)
