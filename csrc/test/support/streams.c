/* streams.c - streams in one loop and context, and what tests record of them.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include "streams.h"

#include <string.h>
#include <time.h>

#include "../test.h"

zl_loop *loop;
void *context;
void *pull;
void *push;

void begin(void) {
  loop = new_loop();
  context = zmq_ctx_new();
  CHECK(context);
}

void end(void) {
  close_loop(loop);
  end_context(context);
}

void begin_pair(void) {
  begin();
  pull = new_socket(context, ZMQ_PULL);
  push = new_socket(context, ZMQ_PUSH);
}

void end_pair(void) {
  close_socket(pull);
  close_socket(push);
  end();
}

zl_stream *new_stream(void *socket) {
  zl_stream *stream;
  CHECK_INT(zl_stream_new(loop, socket, 0, &stream), 0);
  return stream;
}

int step(void) {
  int rc = zl_loop_step(loop, 0, NULL);
  CHECK(rc >= 0);
  verify_loop(loop);
  return rc & ~ZL_STEP_MORE;
}

void run_until(const int *counter, int wanted) {
  while (*counter < wanted) {
    CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) >= 0);
    verify_loop(loop);
  }
  CHECK_INT(*counter, wanted);
}

int send_one(zl_stream *stream, const char *text, uint64_t token) {
  zl_frame frame = {text, strlen(text)};
  return zl_stream_send(stream, &frame, 1, token);
}

int send_two(zl_stream *stream, const char *a, const char *b, uint64_t token) {
  zl_frame frames[2] = {{a, strlen(a)}, {b, strlen(b)}};
  return zl_stream_send(stream, frames, 2, token);
}

void rest(void) {
  struct timespec t = {0, 20 * MILLISECONDS};
  (void)nanosleep(&t, NULL);
}

static int64_t count_clock(void *ud) {
  struct timespec now;
  ++*(int *)ud;
  CHECK_INT(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  return now.tv_sec * SECONDS + now.tv_nsec;
}

void begin_counting(int backend, unsigned flags, int *reads) {
  zl_config config = {.size = sizeof config,
                      .backend = backend,
                      .flags = flags,
                      .clock = count_clock,
                      .clock_ud = reads};
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  context = zmq_ctx_new();
  CHECK(context);
}

void on_nothing(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  (void)arg;
  zl_timer_close(timer);
}

void start_timer(zl_timer_fn fn, int64_t delay) {
  zl_timer *timer;
  CHECK_INT(zl_timer_new(loop, fn, NULL, &timer), 0);
  CHECK_INT(zl_timer_start(timer, delay, 0), 0);
}

static void append(inbox *in, const void *data, size_t size) {
  size_t used = strlen(in->text);
  CHECK(used + size < sizeof in->text);
  memcpy(in->text + used, data, size);
  in->text[used + size] = '\0';
}

void append_message(inbox *in, zmq_msg_t *frames, int count) {
  for (int i = 0; i < count; i++) {
    if (i > 0) {
      append(in, "|", 1);
    }
    append(in, zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]));
  }
  append(in, ";", 1);
  in->messages++;
}

void inbox_recv(zl_stream *stream, void *arg) {
  inbox *in = arg;
  zl_incoming message;
  int taken = 0;
  int count;
  in->turns++;
  while ((in->take == 0 || taken < in->take) &&
         (count = zl_stream_next(stream, &message)) > 0) {
    append_message(in, message.frames, count);
    zl_stream_accept(stream);
    taken++;
  }
}

zl_stream *new_receiver(void *socket, inbox *in) {
  zl_stream *stream = new_stream(socket);
  memset(in, 0, sizeof *in);
  zl_stream_on_recv(stream, inbox_recv, in);
  return stream;
}

void sequence_recv(zl_stream *stream, void *arg) {
  sequence *s = arg;
  zl_incoming message;
  int count;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    int number;
    CHECK_INT(count, s->parts);
    CHECK_INT(zmq_msg_size(&message.frames[count - 1]), sizeof number);
    memcpy(&number, zmq_msg_data(&message.frames[count - 1]), sizeof number);
    CHECK_INT(number, s->next);
    zl_stream_accept(stream);
    s->next++;
  }
}

int send_number(zl_stream *stream, int parts, int number, uint64_t token) {
  zl_frame frames[3] = {{"x", 1}, {"", 0}, {"", 0}};
  frames[parts - 1] = (zl_frame){&number, sizeof number};
  return zl_stream_send(stream, frames, (size_t)parts, token);
}

void echo_recv(zl_stream *stream, void *arg) {
  zl_incoming message;
  int count;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    zl_frame copy[4];
    CHECK(count <= 4);
    for (int i = 0; i < count; i++) {
      copy[i].data = zmq_msg_data(&message.frames[i]);
      copy[i].size = zmq_msg_size(&message.frames[i]);
    }
    CHECK(zl_stream_send(stream, copy, (size_t)count, 0) >= 0);
    zl_stream_accept(stream);
    ++*(int *)arg;
  }
}

void on_sent(zl_stream *stream, uint64_t token, int status, void *arg) {
  reports *r = arg;
  (void)stream;
  CHECK(!r->inside_send);
  CHECK(r->count < 64);
  r->tokens[r->count] = token;
  r->status[r->count] = status;
  r->count++;
}

void on_error(zl_stream *stream, int rc, void *arg) {
  reports *r = arg;
  (void)stream;
  CHECK(!r->inside_send);
  r->errors++;
  r->error = rc;
}

int send_reported(zl_stream *stream, reports *r, uint64_t token) {
  r->inside_send = 1;
  int rc = send_one(stream, "m", token);
  r->inside_send = 0;
  return rc;
}
