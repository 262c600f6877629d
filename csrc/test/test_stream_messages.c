/* test_stream_messages.c - sending messages of libzmq without copying them.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "support/alloc.h"
#include "support/streams.h"
#include "test.h"

/* Bytes that must not be copied: libzmq reports when it has released them. */
typedef struct payload {
  char bytes[64];
  atomic_int freed;
} payload;

static void on_free(void *data, void *hint) {
  payload *p = hint;
  CHECK(data == p->bytes);
  atomic_fetch_add(&p->freed, 1);
}

static void init_payload(zmq_msg_t *frame, payload *p, const char *text) {
  *p = (payload){.freed = 0};
  (void)strcpy(p->bytes, text); /* NOLINT: short texts */
  CHECK_INT(zmq_msg_init_data(frame, p->bytes, strlen(text), on_free, p), 0);
}

static void init_text(zmq_msg_t *frame, const char *text) {
  CHECK_INT(zmq_msg_init_size(frame, strlen(text)), 0);
  memcpy(zmq_msg_data(frame), text, strlen(text));
}

static bool is_text(zmq_msg_t *frame, const char *text) {
  return zmq_msg_size(frame) == strlen(text) &&
         memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

/* Keeps the first frame of the message. */
static void keep_first(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    CHECK_INT(zmq_msg_move(arg, &message.frames[0]), 0);
    zl_stream_accept(stream);
  }
}

static void test_messages_are_not_copied(void) {
  payload p;
  zmq_msg_t frame;
  zmq_msg_t got;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *sender = new_stream(push);
  zl_stream *receiver = new_stream(pull);
  (void)zmq_msg_init(&got);
  zl_stream_on_recv(receiver, keep_first, &got);
  init_payload(&frame, &p, "the very bytes");
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), 0);
  CHECK_INT(zmq_msg_size(&frame), 0);
  while (zmq_msg_size(&got) == 0) {
    (void)step();
  }
  CHECK(zmq_msg_data(&got) == p.bytes);
  CHECK_INT(atomic_load(&p.freed), 0);
  (void)zmq_msg_close(&got);
  CHECK_INT(atomic_load(&p.freed), 1);
  zl_stream_close(sender);
  zl_stream_close(receiver);
  end_pair();
}

static void test_messages_wait_in_order(void) {
  zmq_msg_t frames[3];
  inbox in;
  begin_pair();
  zl_stream *sender = new_stream(push);
  init_text(&frames[0], "a");
  init_text(&frames[1], "");
  init_text(&frames[2], "a frame that is too long to be kept inside");
  CHECK_INT(zl_stream_send_messages(sender, frames, 3, 0), ZL_QUEUED);
  CHECK_INT(send_one(sender, "bytes", 0), ZL_QUEUED);
  zl_stream *receiver = new_receiver(pull, &in);
  join_sockets(TCP, pull, push);
  zl_stream_touch(sender);
  zmq_pollitem_t writable = {.socket = push, .events = ZMQ_POLLOUT};
  CHECK_INT(zmq_poll(&writable, 1, -1), 1);
  init_text(&frames[0], "last");
  CHECK_INT(zl_stream_send_messages(sender, frames, 1, 0), ZL_QUEUED);
  CHECK_INT(zl_stream_queued(sender), 3);
  zl_stream_used(sender);
  run_until(&in.messages, 3);
  CHECK(!strcmp(in.text, "a||a frame that is too long to be kept inside;"
                         "bytes;last;"));
  zl_stream_close(sender);
  zl_stream_close(receiver);
  end_pair();
}

static void test_messages_are_reported_in_order(void) {
  zmq_msg_t frame;
  reports r = {0};
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *sender = new_stream(push);
  zl_stream_on_sent(sender, on_sent, &r);
  init_text(&frame, "m");
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 7), 0);
  CHECK_INT(send_one(sender, "n", 8), 0);
  CHECK_INT(r.count, 0);
  run_until(&r.count, 2);
  CHECK_INT(r.tokens[0], 7);
  CHECK_INT(r.status[0], 0);
  CHECK_INT(r.tokens[1], 8);
  zl_stream_close(sender);
  end_pair();
}

/* On failure they are unchanged. */
static void test_messages_that_are_refused_stay_the_callers(void) {
  zmq_msg_t frames[2];
  payload p;
  reports r = {0};
  begin();
  void *router = new_socket(context, ZMQ_ROUTER);
  void *dealer = new_socket(context, ZMQ_DEALER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  join_sockets(INPROC, router, dealer);
  zl_stream *sender = new_stream(router);
  zl_stream_on_sent(sender, on_sent, &r);
  init_text(&frames[0], "nobody");
  init_payload(&frames[1], &p, "hello");
  CHECK_INT(zl_stream_send_messages(sender, frames, 2, 1), -EHOSTUNREACH);
  CHECK(is_text(&frames[0], "nobody"));
  CHECK(is_text(&frames[1], "hello"));
  CHECK_INT(atomic_load(&p.freed), 0);
  CHECK_INT(zl_stream_send_messages(sender, frames, 0, 0), -EINVAL);
  (void)zmq_msg_close(&frames[0]);
  (void)zmq_msg_close(&frames[1]);
  CHECK_INT(atomic_load(&p.freed), 1);
  (void)step();
  CHECK_INT(r.count, 0);
  zl_stream_close(sender);
  close_socket(router);
  close_socket(dealer);
  end();
}

static void test_messages_are_refused_by_a_full_queue(void) {
  zmq_msg_t frame;
  begin();
  push = new_socket(context, ZMQ_PUSH);
  zl_stream *sender = new_stream(push);
  zl_stream_set_limits(sender, 0, 10);
  init_text(&frame, "12345678");
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), ZL_QUEUED);
  init_text(&frame, "123");
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), -EAGAIN);
  CHECK(is_text(&frame, "123"));
  (void)zmq_msg_close(&frame);
  CHECK_INT(zl_stream_close(sender), 1);
  close_socket(push);
  end();
}

static void test_messages_of_a_closed_stream_are_let_go(void) {
  zmq_msg_t frame;
  payload p;
  begin();
  push = new_socket(context, ZMQ_PUSH);
  zl_stream *sender = new_stream(push);
  init_payload(&frame, &p, "never sent");
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), ZL_QUEUED);
  CHECK_INT(atomic_load(&p.freed), 0);
  CHECK_INT(zl_stream_close(sender), 1);
  CHECK_INT(atomic_load(&p.freed), 1);
  close_socket(push);
  end();
}

static void test_messages_without_memory_stay_the_callers(void) {
  test_alloc memory = {0};
  zl_config config = {
      .size = sizeof config, .alloc = test_alloc_fn, .alloc_ud = &memory};
  zl_loop *own;
  zl_stream *sender;
  zmq_msg_t frame;
  void *own_context = zmq_ctx_new();
  push = new_socket(own_context, ZMQ_PUSH);
  CHECK_INT(zl_loop_new(&config, &own), 0);
  CHECK_INT(zl_stream_new(own, push, 0, &sender), 0);
  init_text(&frame, "kept");
  memory.fail_from = memory.requests + 1;
  memory.fail_count = 1;
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), -ENOMEM);
  CHECK(is_text(&frame, "kept"));
  CHECK_INT(zl_stream_send_messages(sender, &frame, 1, 0), ZL_QUEUED);
  CHECK_INT(zl_stream_close(sender), 1);
  CHECK_INT(zl_loop_close(own), 0);
  CHECK_INT(memory.blocks, 0);
  close_socket(push);
  end_context(own_context);
}

static const zl_test tests[] = {
    TEST(test_messages_are_not_copied),
    TEST(test_messages_wait_in_order),
    TEST(test_messages_are_reported_in_order),
    TEST(test_messages_that_are_refused_stay_the_callers),
    TEST(test_messages_are_refused_by_a_full_queue),
    TEST(test_messages_of_a_closed_stream_are_let_go),
    TEST(test_messages_without_memory_stay_the_callers),
};

TEST_MAIN(tests)
