/* streams.h - streams in one loop and context, and what tests record of them.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_TEST_STREAMS_H
#define ZL_TEST_STREAMS_H

#include "clock.h"
#include "sockets.h"
#include "zmqloop.h"

extern zl_loop *loop;
extern void *context;

/* A PULL and a PUSH, not yet joined. */
extern void *pull;
extern void *push;

/* Makes the loop and the context, and ends both. */
void begin(void);
void end(void);

/* The same with the two sockets. */
void begin_pair(void);
void end_pair(void);

/* With a clock that counts how often it is read. */
void begin_counting(int backend, unsigned flags, int *reads);

/* One step without waiting; returns what was handled. */
int step(void);

/* Steps until the counter has the value; if it never does, the watchdog ends
 * the test. */
void run_until(const int *counter, int wanted);

/* Gives messages on their way time to arrive. */
void rest(void);

/* A timer for one call. */
void start_timer(zl_timer_fn fn, int64_t delay_ns);

/* Does nothing but close its timer. */
void on_nothing(zl_timer *timer, uint64_t missed, void *arg);

zl_stream *new_stream(void *socket);
int send_one(zl_stream *stream, const char *text, uint64_t token);
int send_two(zl_stream *stream, const char *a, const char *b, uint64_t token);

/* ---- messages as text --------------------------------------------------- */

/* What a stream received: frames joined by '|', messages ended by ';'. */
typedef struct inbox {
  char text[4096];
  int messages;
  int turns;
  int take; /* messages per call at most; 0: all */
} inbox;

void append_message(inbox *in, zmq_msg_t *frames, int count);

/* A zl_stream_fn; arg is an inbox. */
void inbox_recv(zl_stream *stream, void *arg);

/* A stream with inbox_recv(). */
zl_stream *new_receiver(void *socket, inbox *in);

/* A zl_stream_fn that sends back what it receives; arg counts, an int. */
void echo_recv(zl_stream *stream, void *arg);

/* ---- messages with numbers ---------------------------------------------- */

typedef struct sequence {
  int next;  /* number expected */
  int parts; /* of each message */
} sequence;

/* A zl_stream_fn that checks the numbers; arg is a sequence. */
void sequence_recv(zl_stream *stream, void *arg);

/* At most three parts, the last of which is the number. */
int send_number(zl_stream *stream, int parts, int number, uint64_t token);

/* ---- reports of what was sent ------------------------------------------- */

typedef struct reports {
  uint64_t tokens[64];
  int status[64];
  int count;
  int inside_send; /* reports are for the loop to make */
  int errors;
  int error; /* the last one */
} reports;

/* Callbacks of a stream; arg is a reports. */
void on_sent(zl_stream *stream, uint64_t token, int status, void *arg);
void on_error(zl_stream *stream, int rc, void *arg);

/* Fails the test if anything is reported inside the call. */
int send_reported(zl_stream *stream, reports *r, uint64_t token);

#endif /* ZL_TEST_STREAMS_H */
