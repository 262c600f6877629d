/* zmqloop_batch.h - handles many calls of the loop in one.
 * SPDX-License-Identifier: MIT
 *
 * For a binding for which each entry into its language is expensive: one call
 * handles all the timers, callbacks or messages that come next. The rules of
 * zmqloop.h hold here too, but this header may change with any version, so it
 * is for code that is compiled together with the library.
 */
#ifndef ZMQLOOP_BATCH_H
#define ZMQLOOP_BATCH_H

#include "zmqloop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- callbacks and timers ------------------------------------------------ */

/* Takes the next timer that is due in this iteration, if fn is its callback.
 * The caller handles it as fn would. *missed is as for fn. Returns NULL when
 * there is none, or when the step's budget is used up or zl_loop_break() was
 * called: fn will be called for it. Only from inside fn, in a call by the loop.
 */
ZL_API zl_timer *zl_timer_next(zl_loop *loop, zl_timer_fn fn, uint64_t *missed);

/* As zl_timer_next(): takes the next callback of this iteration, if it is fn.
 * Returns 1 with *arg set, or 0. Only from inside fn, in a call by the loop. */
ZL_API int zl_loop_next_callback(zl_loop *loop, zl_callback_fn fn, void **arg);

/* In a callback or timer: nonzero when it is the last one of this iteration. */
ZL_API int zl_loop_is_last(const zl_loop *loop);

/* ---- messages ------------------------------------------------------------ */

/* Nonzero between zl_stream_next() and zl_stream_accept(). Tells after a failed
 * conversion whether the message is the stream's, which will show it again. */
ZL_API int zl_stream_shows(const zl_stream *stream);

/* The first step of zl_stream_send() alone, for a caller that must convert the
 * message first: refuses a message of this many bytes, or returns 0. Refuses it
 * with the error that the send would return: see zl_stream_error(), -EFSM (a
 * REP without a request to answer) and -EAGAIN (the queue is full), after which
 * on_room is called as after a send. */
ZL_API int zl_stream_may_send(zl_stream *stream, size_t bytes);

/* Whether the zmq socket keeps only one message (ZMQ_CONFLATE). Its messages
 * must have one frame: libzmq aborts the process when the rest of a longer one
 * is received. Streams refuse such messages; code that uses the socket directly
 * must do so itself. */
ZL_API int zl_socket_conflates(void *zmq_socket);

#ifdef __cplusplus
}
#endif

#endif /* ZMQLOOP_BATCH_H */
