/* zmqloop_blocked.h - reports loops that do not reach their wait.
 * SPDX-License-Identifier: MIT
 *
 * The rules of zmqloop.h hold here too.
 */
#ifndef ZMQLOOP_BLOCKED_H
#define ZMQLOOP_BLOCKED_H

#include "zmqloop.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Called on the loop's thread in a signal handler, wherever the thread is
 * blocked: it may call async-signal-safe functions only, and must not use the
 * loop. */
typedef void (*zl_blocked_fn)(zl_loop *loop, void *arg);

/* Calls fn when the loop runs longer than threshold_ns without reaching its
 * wait: once per stretch of work, which begins with a run or step or at the end
 * of a wait. 0 turns it off; fn may be NULL then. Time is CLOCK_MONOTONIC,
 * whatever the loop's clock, and is checked four times per threshold, at most
 * once per millisecond.
 *
 * A separate thread, with all signals blocked, checks and sends the loop's
 * thread `signum` (0: a realtime signal). The signal has a handler, with
 * SA_RESTART, until no loop is watched with it any more, and is unblocked in
 * the calling thread. No other code may use it meanwhile. It interrupts calls
 * that are never restarted, such as sleep.
 *
 * Returns 0, -EINVAL (a negative threshold, no fn, a signal that cannot be
 * caught), -ENOMEM, -EAGAIN (no thread could be created, or 64 loops of the
 * process are watched already) or -ECHILD (in a forked child, which has no such
 * thread); on failure the former setting stays. */
ZL_API int zl_loop_watch_blocking(zl_loop *loop, int64_t threshold_ns,
                                  int signum, zl_blocked_fn fn, void *arg);

/* The signal in use, or 0 if the loop is not watched. */
ZL_API int zl_loop_blocking_signal(const zl_loop *loop);

/* Begins a new stretch of work, as if the loop had reached its wait: for
 * callbacks that are known to run long. From a callback only. */
ZL_API void zl_loop_not_blocked(zl_loop *loop);

#ifdef __cplusplus
}
#endif

#endif /* ZMQLOOP_BLOCKED_H */
