/* zmqloop.h - event loop, timers, descriptors and ZeroMQ streams for one
 * thread.
 * SPDX-License-Identifier: MIT
 *
 * Ownership  zl_X_new() gives the caller a handle, which zl_X_close() ends.
 *            A handle may be closed anywhere on the loop's thread, even inside
 *            its own callback; once close has returned, no callback of it runs
 *            and the pointer is dead. zl_loop_close() closes what is left.
 * Errors     int functions return 0 or a count, and on failure a negative
 *            errno; libzmq's own numbers (-ETERM, -EFSM) are among them.
 *            Nothing aborts, nothing is printed, errno is not used.
 * Time       int64_t nanoseconds, `_ns` in the name, on the loop's clock
 *            (CLOCK_MONOTONIC unless the configuration has another).
 * Threads    a loop and its handles belong to one thread. Only zl_loop_post(),
 *            zl_loop_wake() and zl_loop_stop() may be called from others.
 * Callbacks  take `void *arg` last. The pointer is borrowed: it must outlive
 *            the handle. A callback may do anything but run, step or close
 *            the loop that calls it.
 * Sockets    belong to the caller: the loop watches and uses a zmq socket, but
 *            never closes it.
 *
 * zmqloop_blocked.h reports loops that do not reach their wait, and
 * zmqloop_batch.h has what a binding to another language needs for speed.
 */
#ifndef ZMQLOOP_H
#define ZMQLOOP_H

#include <stddef.h>
#include <stdint.h>

#include <zmq.h>

#if ZMQ_VERSION < ZMQ_MAKE_VERSION(4, 3, 0)
#error "zmqloop needs libzmq 4.3 or later"
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define ZL_VERSION_MAJOR 0
#define ZL_VERSION_MINOR 1
#define ZL_VERSION_PATCH 0
#define ZL_VERSION       "0.1.0"

#ifndef ZL_API
#if defined(__GNUC__)
#define ZL_API __attribute__((visibility("default")))
#else
#define ZL_API
#endif
#endif

typedef struct zl_loop zl_loop;     /* waits for events and calls back */
typedef struct zl_timer zl_timer;   /* fires once, or periodically on a grid */
typedef struct zl_fd zl_fd;         /* watches a plain descriptor */
typedef struct zl_socket zl_socket; /* watches the readiness of a zmq socket */
typedef struct zl_stream zl_stream; /* receives and sends on a zmq socket */
typedef struct zl_signal zl_signal; /* watches a signal of the process */

/* Readiness, the numbers of PyZMQ's and Tornado's IOLoop. ZL_ERROR is a mask: a
 * report may carry either bit, requested or not. */
enum {
  ZL_NONE = 0,
  ZL_READ = 0x001,
  ZL_WRITE = 0x004,
  ZL_ERROR = 0x018 /* error 0x008, hang-up 0x010 */
};

/* No time limit, for zl_loop_step(); as a deadline: never, since no clock
 * reaches it. */
#define ZL_FOREVER INT64_MAX

/* time_ns + delay_ns, saturating: a delay of ZL_FOREVER gives ZL_FOREVER, not a
 * time in the past. */
static inline int64_t zl_time_add(int64_t time_ns, int64_t delay_ns) {
  if (delay_ns > 0 && time_ns > ZL_FOREVER - delay_ns) {
    return ZL_FOREVER;
  }
  if (delay_ns < 0 && time_ns < INT64_MIN - delay_ns) {
    return INT64_MIN;
  }
  return time_ns + delay_ns;
}

/* The time from now_ns to deadline_ns: 0 if it has passed, ZL_FOREVER if the
 * deadline is ZL_FOREVER or the difference overflows. */
static inline int64_t zl_time_until(int64_t deadline_ns, int64_t now_ns) {
  if (deadline_ns <= now_ns) {
    return 0;
  }
  if (deadline_ns == ZL_FOREVER ||
      (now_ns < 0 && deadline_ns > ZL_FOREVER + now_ns)) {
    return ZL_FOREVER;
  }
  return deadline_ns - now_ns;
}

/* ---- errors ------------------------------------------------------------- */

/* Text for people, for a negative return code, such as "address already in
 * use". Never NULL, never to be freed. Any thread. */
ZL_API const char *zl_strerror(int rc);

/* Name to branch on, such as "EADDRINUSE"; "EUNKNOWN" for an unknown number.
 * Never NULL, never to be freed. Any thread. */
ZL_API const char *zl_errname(int rc);

/* ---- loop --------------------------------------------------------------- */

/* The shape of lua_Alloc: (ud, NULL, 0, n) allocates, (ud, p, old, 0) frees and
 * returns NULL, else resizes; NULL when out of memory. Called on the loop's
 * thread only. */
typedef void *(*zl_alloc_fn)(void *ud, void *ptr, size_t osize, size_t nsize);

/* Current time in nanoseconds since some fixed point. */
typedef int64_t (*zl_clock_fn)(void *ud);

/* A signal interrupted a wait. Returns 0 to continue waiting, or another value
 * to make zl_loop_run() or zl_loop_step() return -EINTR. */
typedef int (*zl_interrupt_fn)(zl_loop *loop, void *ud);

/* A callback, timer, post, or turn of a watch took longer than any before. */
typedef void (*zl_slowest_fn)(zl_loop *loop, int64_t took_ns, void *ud);

enum {
  ZL_BACKEND_DEFAULT = 0, /* epoll where the system has it, else poll */
  ZL_BACKEND_EPOLL,
  ZL_BACKEND_POLL
};

enum {
  /* Check a socket after every operation, instead of relying on epoll to report
   * signals that libzmq has consumed (docs/readiness.md). The poll backend
   * always does; epoll does where its self test fails. */
  ZL_CONFIG_TOUCH = 1,
  /* The loop has a clock of its own: it starts at 0, stands still while
   * callbacks run, and jumps to the next deadline where the loop would wait for
   * one. zl_loop_advance() moves it. For tests and paused games. */
  ZL_CONFIG_VIRTUAL_CLOCK = 2
};

typedef struct zl_config {
  size_t size;       /* sizeof(zl_config): lets the struct grow */
  int backend;       /* ZL_BACKEND_... */
  unsigned flags;    /* ZL_CONFIG_... */
  zl_alloc_fn alloc; /* NULL: realloc and free */
  void *alloc_ud;
  zl_clock_fn clock; /* NULL: CLOCK_MONOTONIC */
  void *clock_ud;
  zl_interrupt_fn interrupt; /* NULL: continue waiting */
  void *interrupt_ud;
  void *data;            /* for zl_loop_data() */
  zl_slowest_fn slowest; /* may be NULL */
  void *slowest_ud;
} zl_config;

/* Creates a loop; config may be NULL. Opens descriptors, all close-on-exec.
 * Returns 0, -EINVAL (size or backend), -ENOMEM, -EMFILE, -ENFILE or -ENOSYS (a
 * backend this system lacks); on failure *out is NULL. */
ZL_API int zl_loop_new(const zl_config *config, zl_loop **out);

/* Closes every handle still open, drops pending posts and frees the loop. NULL
 * is allowed. In a forked child it frees the memory and leaves the parent
 * alone. Returns 0, or -EBUSY inside a callback of this loop. */
ZL_API int zl_loop_close(zl_loop *loop);

enum {
  ZL_RUN_FOREVER = 0, /* until zl_loop_stop() */
  ZL_RUN_ALIVE        /* also return when nothing is left to wait for */
};

/* Runs iterations until stopped. Returns 0 when stopped or (ZL_RUN_ALIVE) when
 * zl_loop_alive() is 0; -ETERM when a watched socket's context was terminated;
 * -EINTR when the interrupt callback asked for it or zl_loop_break() was
 * called; -EBUSY inside a callback of this loop; -ECHILD in a forked child (if
 * a callback forks, before the next wait); the system's error when the wait
 * fails: -ENOMEM, -EINVAL above a limit of descriptors, -EBADF if other code
 * has closed the loop's own descriptors; in builds with ZL_DEBUG
 * -ENOTRECOVERABLE when zl_loop_verify() fails. The loop can be run again,
 * which resumes the iteration; after -ECHILD, -EBADF and -ENOTRECOVERABLE that
 * fails again. */
ZL_API int zl_loop_run(zl_loop *loop, int mode);

/* What one step may use up; 0 means no limit. */
typedef struct zl_budget {
  int events;      /* calls of callbacks, and messages that are received; what a
                      callback flushes does not count */
  int64_t time_ns; /* checked before each of them. By the loop's clock, but if
                      that is virtual by the monotonic one: a virtual clock
                      stands still meanwhile */
} zl_budget;

/* Added to the result of zl_loop_step(): work is pending, step again soon. */
#define ZL_STEP_MORE 0x40000000

/* Runs what is due, waiting at most timeout_ns (0: not at all, ZL_FOREVER) for
 * the first thing to do. Without a budget (NULL, or no limit in it) that is one
 * iteration. With a budget it goes on, iteration after iteration, until nothing
 * is pending or the budget is used up; it ends within one callback of it, and
 * what is left waits for the next step or run, which resumes there. In a frame
 * of a host, call it once, with timeout 0 and the time that the frame has for
 * it.
 *
 * Returns the number of things handled, with ZL_STEP_MORE added when work is
 * pending; on failure as zl_loop_run(), but never -ETERM: a terminated context
 * ends the step. */
ZL_API int zl_loop_step(zl_loop *loop, int64_t timeout_ns,
                        const zl_budget *budget);

/* Makes zl_loop_run() return at the end of the current iteration. When the loop
 * is not running, the next zl_loop_run() returns at once and clears the
 * request. For zl_loop_step() it is only a wake-up. Async-signal-safe; any
 * thread. The loop must outlive the call: its thread must not close it before
 * the call has returned. */
ZL_API void zl_loop_stop(zl_loop *loop);

/* Makes the run or step on the stack return -EINTR as soon as the running
 * callback has returned; the rest of the iteration is resumed by the next one.
 * From a callback only. */
ZL_API void zl_loop_break(zl_loop *loop);

/* Nonzero while zl_loop_run() or zl_loop_step() is on the stack. */
ZL_API int zl_loop_running(const zl_loop *loop);

/* Nonzero while a callback, timer, descriptor, socket, stream or signal watch
 * is active. Idle handles do not make the call slower. */
ZL_API int zl_loop_alive(const zl_loop *loop);

/* Current time, read anew. */
ZL_API int64_t zl_loop_time_ns(const zl_loop *loop);

/* Moves a virtual clock forward by delay_ns. Outside callbacks, whatever
 * becomes due on the way is called at its time (so a callback that always
 * queues another lets no time pass); in a callback only the clock moves, as if
 * the callback had taken that long. Returns 0, -EINVAL (no virtual clock, or
 * delay_ns < 0) or as zl_loop_step(). */
ZL_API int zl_loop_advance(zl_loop *loop, int64_t delay_ns);

/* What a loop has done since it was created. */
typedef struct zl_stats {
  uint64_t iterations;
  uint64_t callbacks; /* calls of zl_loop_add_callback()'s callbacks */
  uint64_t timers;    /* calls of timers */
  uint64_t posts;
  uint64_t signals;      /* calls of their watches */
  uint64_t events;       /* calls of descriptors' and sockets' watches */
  uint64_t messages_in;  /* that streams have delivered */
  uint64_t messages_out; /* that libzmq has taken from streams */
  int64_t busy_ns;     /* in runs and steps, less idle_ns; by CLOCK_MONOTONIC */
  int64_t idle_ns;     /* in waits that might block */
  int64_t lateness_ns; /* of all timers, on the loop's clock */
  int64_t lateness_max_ns;
  int64_t slowest_ns; /* the longest call; a stream's turn counts as one */
} zl_stats;

ZL_API void zl_loop_stats(const zl_loop *loop, zl_stats *out);

/* The data of the configuration. */
ZL_API void *zl_loop_data(const zl_loop *loop);

/* "epoll" or "poll". */
ZL_API const char *zl_loop_backend(const zl_loop *loop);

typedef void (*zl_callback_fn)(zl_loop *loop, void *arg);

/* Queues fn for the next iteration, first in first out. Returns 0 or -ENOMEM.
 * Callbacks still pending when the loop is closed are dropped. */
ZL_API int zl_loop_add_callback(zl_loop *loop, zl_callback_fn fn, void *arg);

/* Like zl_loop_add_callback(), from any thread: first in first out per
 * thread, one wake-up for many. If the loop is closed first, drop(arg) is
 * called on its thread instead of fn; drop may be NULL. The loop must outlive
 * the call. fn may run before the call has returned: join the calling thread
 * before you close the loop. Returns 0 or -ENOMEM. Uses malloc, not the
 * loop's allocator. */
ZL_API int zl_loop_post(zl_loop *loop, zl_callback_fn fn, void *arg,
                        void (*drop)(void *arg));

/* Ends the current or the next wait. Async-signal-safe; any thread. The loop
 * must outlive the call. In a forked child zl_loop_wake(), zl_loop_stop() and
 * zl_loop_post() do not wake the parent. */
ZL_API void zl_loop_wake(zl_loop *loop);

/* Checks every structural invariant; O(handles). Returns 0, or -ENOTRECOVERABLE
 * with *what set to the invariant that is broken; what may be NULL. */
ZL_API int zl_loop_verify(const zl_loop *loop, const char **what);

/* ---- inside another loop ------------------------------------------------- */

/* A descriptor for the host's own loop: readable while the loop has work other
 * than timers, which zl_loop_step() then does. Created by the first call and
 * owned by the loop: the host neither reads nor closes it. Queuing a callback
 * outside a step, or starting a timer there that is due before all others,
 * makes it readable too, which ends a wait in progress; the host then asks for
 * zl_loop_timeout_ns() again. Returns -ENOTSUP (the poll backend has none),
 * -EMFILE, -ENFILE, -ENOMEM or -ECHILD (in a forked child). */
ZL_API int zl_loop_fd(zl_loop *loop);

/* How long the host may wait for zl_loop_fd() before the next step: 0 when it
 * should step at once, ZL_FOREVER when no timer is pending. */
ZL_API int64_t zl_loop_timeout_ns(zl_loop *loop);

/* ---- timers ------------------------------------------------------------- */

/* missed: periods skipped since the last call, 0 for a timer without one. */
typedef void (*zl_timer_fn)(zl_timer *timer, uint64_t missed, void *arg);

/* Creates a timer at rest. Returns 0 or -ENOMEM; on failure *out is NULL. */
ZL_API int zl_timer_new(zl_loop *loop, zl_timer_fn fn, void *arg,
                        zl_timer **out);

/* Memory for a timer inside a struct of the caller; its contents are private.
 */
typedef union zl_timer_memory {
  int64_t opaque[8];
  void *alignment;
} zl_timer_memory;

/* zl_timer_new() in the caller's memory: allocates nothing and cannot fail. The
 * memory must stay until zl_timer_close(), after which the loop never uses it
 * again, or until the loop is closed, which puts the timer to rest: then
 * zl_timer_active() and zl_timer_close() may still be called. */
ZL_API zl_timer *zl_timer_init(zl_timer_memory *memory, zl_loop *loop,
                               zl_timer_fn fn, void *arg);

/* The timer that zl_timer_init() created there. */
static inline zl_timer *zl_timer_in(zl_timer_memory *memory) {
  return (zl_timer *)(void *)memory;
}

/* Starts, or restarts, the timer: fn is called at or after deadline_ns on the
 * loop's clock, never before. period_ns 0: once; else again at each deadline_ns
 * + k * period_ns, missed ones skipped and counted. Timers with the same
 * deadline fire in the order of their starts; one started by a timer or
 * callback waits for the next iteration. Returns 0, -EINVAL (period_ns < 0) or
 * -ENOMEM, which leaves the timer at rest. An active timer never fails with
 * -ENOMEM. */
ZL_API int zl_timer_start_at(zl_timer *timer, int64_t deadline_ns,
                             int64_t period_ns);

/* zl_timer_start_at() with the current time, read anew, plus delay_ns. */
ZL_API int zl_timer_start(zl_timer *timer, int64_t delay_ns, int64_t period_ns);

/* zl_timer_start() with the period of the last start. */
ZL_API int zl_timer_again(zl_timer *timer, int64_t delay_ns);

/* Puts the timer to rest; it can be started again. */
ZL_API void zl_timer_cancel(zl_timer *timer);

/* The loop it was created for. */
ZL_API zl_loop *zl_timer_loop(const zl_timer *timer);

/* The arg it was created with. */
ZL_API void *zl_timer_arg(const zl_timer *timer);

/* Nonzero when started and not yet fired (or periodic) and not cancelled. */
ZL_API int zl_timer_active(const zl_timer *timer);

/* The deadline; ZL_FOREVER when at rest. */
ZL_API int64_t zl_timer_deadline_ns(const zl_timer *timer);

/* Cancels and closes the timer. NULL is allowed. */
ZL_API void zl_timer_close(zl_timer *timer);

/* ---- plain descriptors -------------------------------------------------- */

/* events: the requested ones that are ready, plus bits of ZL_ERROR. */
typedef void (*zl_fd_fn)(zl_fd *watch, int events, void *arg);

/* Watches fd, level-triggered, for ZL_READ and ZL_WRITE. Returns 0, -EEXIST
 * (watched by this loop already), -EBADF, -EPERM (epoll: a regular file),
 * -EINVAL (events), -ECHILD (in a forked child) or -ENOMEM; on failure *out is
 * NULL. */
ZL_API int zl_fd_new(zl_loop *loop, int fd, int events, zl_fd_fn fn, void *arg,
                     zl_fd **out);

/* Replaces the mask. Returns 0, -EINVAL, -ECHILD, or the system's error
 * (-EBADF). */
ZL_API int zl_fd_update(zl_fd *watch, int events);

/* A paused watch reports nothing, not even errors, and costs nothing; its
 * descriptor still counts as watched. Resuming reports whatever is ready at
 * that moment. Returns 0, -ECHILD or, from resuming, the system's error
 * (-EBADF, -ENOMEM): then it stays paused. */
ZL_API int zl_fd_pause(zl_fd *watch, int paused);

/* Closes the watch; the descriptor stays open. An event that is already pending
 * is not delivered. NULL is allowed. */
ZL_API void zl_fd_close(zl_fd *watch);

/* ---- signals ------------------------------------------------------------ */

enum {
  /* Also call the handler that was installed before the loops' own, if any: in
   * the signal handler, after the loops have been notified. Applies to the
   * signal while any of its watches has this flag. */
  ZL_SIGNAL_CHAIN = 1
};

/* count >= 1: how many times the signal has arrived since the last call. */
typedef void (*zl_signal_fn)(zl_signal *watch, int signum, unsigned count,
                             void *arg);

/* Watches a signal: fn is called from the loop, once per iteration in which the
 * signal has arrived; it also ends a wait. Any number of watches may share a
 * signal, for loops in any threads; all are called. The first one installs a
 * handler (SA_RESTART, SA_ONSTACK, all signals masked), and closing the last
 * one restores the former disposition, unless another handler has been
 * installed meanwhile. A watch is active until it is closed (zl_loop_alive). In
 * a forked child the handler stays until the child closes its copies of the
 * watches, and notifies no loop of the parent. The code of this library must
 * stay loaded for as long as a handler that was installed later may call this
 * one.
 *
 * Returns 0, -EINVAL (flags; not a signal, or one that could never reach a
 * loop: SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL), -ECHILD in a forked
 * child, or -ENOMEM; on failure *out is NULL. */
ZL_API int zl_signal_new(zl_loop *loop, int signum, zl_signal_fn fn, void *arg,
                         unsigned flags, zl_signal **out);

/* Closes the watch; a signal that has already arrived is not delivered. NULL is
 * allowed. */
ZL_API void zl_signal_close(zl_signal *watch);

/* ---- readiness of zmq sockets ------------------------------------------- */

enum {
  /* The socket is also used by code that does not call zl_socket_used(). */
  ZL_FOREIGN = 1
};

/* events: ZL_READ, ZL_WRITE; or ZL_ERROR once, when the socket's context was
 * terminated or the socket was closed, after which the watch is dead. */
typedef void (*zl_socket_fn)(zl_socket *watch, int events, void *arg);

/* Watches a zmq socket, level-triggered: fn is called once per iteration while
 * the socket is ready. A socket has one watch or stream at a time. Returns 0,
 * -EEXIST (watched by this loop already), -ENOTSOCK, -ETERM, -ENOTSUP (a
 * thread-safe type, which has no descriptor), -EINVAL (events or flags),
 * -ECHILD (in a forked child) or -ENOMEM; on failure *out is NULL. */
ZL_API int zl_socket_new(zl_loop *loop, void *zmq_socket, int events,
                         unsigned flags, zl_socket_fn fn, void *arg,
                         zl_socket **out);

/* Replaces the mask. Returns 0, -EINVAL or -ECHILD. */
ZL_API int zl_socket_update(zl_socket *watch, int events);

/* Call this after every libzmq call that other code makes on a watched socket,
 * including sends, receives and reads of options: the call may have consumed
 * the signal that the loop waits for. Cheap. */
ZL_API void zl_socket_used(zl_socket *watch);

/* Call this instead after calls that change readiness without a signal: bind,
 * connect, zmq_setsockopt, a reply sent by REP, a reply received by REQ. */
ZL_API void zl_socket_touch(zl_socket *watch);

/* Closes the watch; call it before zmq_close(). NULL is allowed. */
ZL_API void zl_socket_close(zl_socket *watch);

/* ---- streams ------------------------------------------------------------ */

/* One frame to send; the bytes are borrowed for the call. */
typedef struct zl_frame {
  const void *data;
  size_t size;
} zl_frame;

/* Called with messages to receive: take each with zl_stream_next() and
 * zl_stream_accept(), until next returns 0, or leave them for the next turn. */
typedef void (*zl_stream_fn)(zl_stream *stream, void *arg);

/* A message sent with a token has left the queue: status is 0 if libzmq took
 * it, else the negative errno with which libzmq refused it. */
typedef void (*zl_sent_fn)(zl_stream *stream, uint64_t token, int status,
                           void *arg);

/* rc: -ETERM, -ENOTSOCK or -EPROTO (a multipart message has arrived at a socket
 * with ZMQ_CONFLATE, which libzmq cannot deliver), once, after which nothing is
 * received or sent; or the errno of a message without token that libzmq
 * refused. */
typedef void (*zl_stream_error_fn)(zl_stream *stream, int rc, void *arg);

/* Puts a stream on a zmq socket. It receives nothing until zl_stream_on_recv().
 * Results as zl_socket_new(). */
ZL_API int zl_stream_new(zl_loop *loop, void *zmq_socket, unsigned flags,
                         zl_stream **out);

/* Sets the callbacks; NULL unsets one. Without a receive callback the stream is
 * paused: messages stay in the socket, held back by its high-water mark. */
ZL_API void zl_stream_on_recv(zl_stream *stream, zl_stream_fn fn, void *arg);
ZL_API void zl_stream_on_sent(zl_stream *stream, zl_sent_fn fn, void *arg);
ZL_API void zl_stream_on_error(zl_stream *stream, zl_stream_error_fn fn,
                               void *arg);

/* Called from the loop or a flush when the last queued message has left. */
ZL_API void zl_stream_on_empty(zl_stream *stream, zl_stream_fn fn, void *arg);

/* Called from the loop or a flush, once after zl_stream_send() has refused a
 * message because the queue was full, when the queue has fallen to half of each
 * limit. */
ZL_API void zl_stream_on_room(zl_stream *stream, zl_stream_fn fn, void *arg);

/* Limits of the queue: the number of messages, and the bytes of all their
 * frames; 0 (the default): no limit. Beyond either zl_stream_send() returns
 * -EAGAIN. A message of more bytes than the limit may wait in an empty queue.
 * Messages already queued stay. */
ZL_API void zl_stream_set_limits(zl_stream *stream, size_t messages,
                                 size_t bytes);

/* A message that is shown. */
typedef struct zl_incoming {
  zmq_msg_t *frames;
  int count;        /* of frames */
  const void *data; /* the bytes of its only frame; NULL: it has several */
  size_t size;
} zl_incoming;

/* Shows the next message: a whole multipart message or nothing. Returns its
 * number of frames, with *out set; 0 at the end of the turn: no message left,
 * the batch or the step's budget used up, stopped, paused or closed; or
 * -ENOMEM, which leaves the message for the next turn. It belongs to the stream
 * and lives until it is accepted, or after zl_stream_close() until the callback
 * has returned; its frames may be moved away. Until it is accepted it is shown
 * again, in this turn and the next. Only inside the receive callback. */
ZL_API int zl_stream_next(zl_stream *stream, zl_incoming *out);

/* The message that zl_stream_next() shows counts as delivered, and is not shown
 * again. Does nothing if none is shown. */
ZL_API void zl_stream_accept(zl_stream *stream);

/* zmq_disconnect() on the stream's socket, in place of which it must be called:
 * libzmq may have read the first frame of a message already, and aborts the
 * process if the rest is lost with the connection (4.3.4, fq.cpp). Receives
 * that message first, which the next turn delivers. Returns 0; -EFSM: the
 * stream has a message already and another may have begun, or other code has
 * received the first frames of one: receive first; -ENOMEM; or libzmq's error
 * (-ENOENT, -EINVAL, -ETERM). */
ZL_API int zl_stream_disconnect(zl_stream *stream, const char *address);

/* zl_stream_send(): the message waits in the stream's queue. */
#define ZL_QUEUED 1

/* Sends a message of count >= 1 frames, whole or not at all, never blocking:
 * now, if nothing is queued before it and the socket can take it, else it is
 * copied into the queue, and the loop sends it as soon as the socket can. So a
 * REQ may send before it has its reply; a REP without a request to answer may
 * not (see zl_stream_early()). A token other than 0 is reported to on_sent from
 * the loop, in order. Returns 0, ZL_QUEUED, -EAGAIN (the queue is full),
 * -ESHUTDOWN (draining), -EFSM (a REP without a request to answer), -EINVAL
 * (count), -ENOMEM, -ENOTSUP (several frames with ZMQ_CONFLATE), or libzmq's
 * error (-EHOSTUNREACH, -ETERM): then it is neither sent nor queued. */
ZL_API int zl_stream_send(zl_stream *stream, const zl_frame *frames,
                          size_t count, uint64_t token);

/* Lets zl_stream_send() on a REP queue a message while there is no request to
 * answer. The message then answers the next request, from any client. Off in a
 * new stream. */
ZL_API void zl_stream_early(zl_stream *stream, int on);

/* Like zl_stream_send(), for libzmq messages, whose bytes are not copied. On
 * success the stream owns them and leaves empty ones, which need not be closed;
 * on failure they stay the caller's, unchanged. Their group and routing id are
 * kept. Results are those of zl_stream_send(). */
ZL_API int zl_stream_send_messages(zl_stream *stream, zmq_msg_t *frames,
                                   size_t count, uint64_t token);

/* Cancels the message with the token, not 0, that zl_stream_send() has queued,
 * if no frame of it has left yet: it will be neither sent nor reported. Takes
 * time proportional to the length of the queue. Returns 1, or 0 if there is no
 * such message any more. stream may be NULL. */
ZL_API int zl_stream_unsend(zl_stream *stream, uint64_t token);

/* Why can the stream send no more messages, whatever they are? Returns 0 (it
 * can), -ESHUTDOWN (draining), -ENOTSOCK (the socket was closed) or -ETERM (its
 * context was terminated). Changes nothing. */
ZL_API int zl_stream_error(const zl_stream *stream);

/* Receives and delivers (ZL_READ), and sends what is queued (ZL_WRITE), without
 * waiting, until neither is possible or limit messages were handled; limit < 0:
 * no limit. If there is no receive callback when it begins, messages are read
 * and discarded. Inside a flush of the same stream, and between
 * zl_stream_next() and zl_stream_accept(), it only sends. In a callback of the
 * send queue (on_error, on_room, on_empty) it does nothing, since the stream is
 * already sending. Returns the number of messages handled. */
ZL_API int zl_stream_flush(zl_stream *stream, int events, int limit);

/* Messages accepted by zl_stream_send() that libzmq has not yet taken. */
ZL_API size_t zl_stream_queued(const zl_stream *stream);

/* Nonzero while messages wait to be sent or reported. */
ZL_API int zl_stream_busy(const zl_stream *stream);

/* Messages received per turn, 1 to 65535 (default 128). 0 or -EINVAL. */
ZL_API int zl_stream_set_batch(zl_stream *stream, int messages);

/* In each iteration every ready stream is served once, those of higher priority
 * first, equal ones in turn; -1000000 to 1000000 (default 0, like other
 * descriptors). 0 or -EINVAL. */
ZL_API int zl_stream_set_priority(zl_stream *stream, int priority);

/* Stops accepting messages, and calls fn once from the loop: when all accepted
 * messages have been sent and reported, when the socket is gone, or after
 * timeout_ns (ZL_FOREVER: no limit), whichever comes first. The stream still
 * receives. fn usually closes the stream, which returns the number of unsent
 * messages. A second call replaces fn and the timeout. Returns 0, -EINVAL
 * (timeout_ns < 0, no fn) or -ENOMEM, which changes nothing. */
ZL_API int zl_stream_drain(zl_stream *stream, int64_t timeout_ns,
                           zl_stream_fn fn, void *arg);

/* As zl_socket_used() and zl_socket_touch(), for code that uses the stream's
 * socket directly. */
ZL_API void zl_stream_used(zl_stream *stream);
ZL_API void zl_stream_touch(zl_stream *stream);

/* Call this before zl_stream_close() if other code has closed the socket
 * already: no libzmq call is made on it any more. */
ZL_API void zl_stream_socket_closed(zl_stream *stream);

/* Gives libzmq as much of the queue as it takes and closes the stream; the
 * caller closes the zmq socket afterwards. NULL is allowed. Returns the number
 * of messages that were not sent. */
ZL_API size_t zl_stream_close(zl_stream *stream);

#ifdef __cplusplus
}
#endif

#endif /* ZMQLOOP_H */
