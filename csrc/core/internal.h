/* internal.h - the structs and zl__ names the core's files share.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_INTERNAL_H
#define ZL_INTERNAL_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "heap.h"
#include "list.h"
#include "memory.h"
#include "zmqloop.h"

/* Debug builds verify every invariant in every iteration. */
#ifndef ZL_DEBUG
#define ZL_DEBUG 0
#endif

/* What is done for each message: a call costs as much as it does. */
#ifdef __GNUC__
#define ZL__HOT __attribute__((always_inline)) static inline
#else
#define ZL__HOT static inline
#endif

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZL__DGRAM = ZMQ_DGRAM };
#else
enum { ZL__DGRAM = -1 };
#endif

/* ---- handles ------------------------------------------------------------ */

/* What every handle begins with. `all` is on loop->handles while the handle is
 * open and on loop->graveyard from its close until the stack has unwound. */
typedef struct zl__handle zl__handle;

typedef struct zl__handle_kind {
  size_t size;
  void (*close)(zl__handle *handle); /* its zl_X_close() */
  /* Frees what it owns besides its own memory; may be NULL. */
  void (*dispose)(zl__handle *handle);
  /* Is there something it waits for? NULL: not to be asked (timers). */
  bool (*alive)(const zl__handle *handle);
} zl__handle_kind;

struct zl__handle {
  zl__link all;
  zl__link lively; /* on loop->lively */
  zl_loop *loop;
  const zl__handle_kind *kind;
  bool closed;
};

int zl__handle_new(zl_loop *loop, const zl__handle_kind *kind,
                   zl__handle **out);
void zl__handle_bury(zl__handle *handle);
void zl__handle_enliven(zl__handle *handle);
void zl__handles_free_buried(zl_loop *loop);

/* ---- watches: handles that have a descriptor in the poller -------------- */

typedef struct zl__watch {
  zl__handle handle;
  /* On loop->dirty: to be served in the next dispatch. On loop->turn: in this
   * one. Membership is the state. */
  zl__link ready;
  /* Serves the watch once: it is on no list, and may close itself. */
  void (*serve)(struct zl__watch *watch);
  /* The poller's report: marks the watch dirty if that means anything. */
  void (*report)(struct zl__watch *watch, int events);
  int fd;         /* -1: not in the poller */
  int events;     /* what the poller watches it for; 0 with edge */
  int priority;   /* in a turn; 0: as most */
  bool edge;      /* a zmq descriptor */
  bool paused;    /* out of the poller for a while, with its number kept */
  uint32_t index; /* of its slot; 0: none */
} zl__watch;

/* Reports carry index and generation, so that one for a closed watch reaches
 * nobody, even if the descriptor or the slot has been used again. */
typedef struct zl__slot {
  zl__watch *watch; /* NULL: free */
  uint32_t generation;
  uint32_t next_free;
} zl__slot;

int zl__watch_open(zl__watch *watch, int fd, int events, bool edge);
void zl__watch_shut(zl__watch *watch);
void zl__watch_dirty(zl__watch *watch);
void zl__watch_set_priority(zl__watch *watch, int priority);
void zl__ready_take(zl_loop *loop);
bool zl__events_valid(int events);
uint64_t zl__watch_token(const zl__watch *watch);
int zl__registry_add(zl__watch *watch);
void zl__registry_remove(zl__watch *watch);
int zl__registry_reserve(zl_loop *loop, int fd);
const zl__watch *zl__registry_owner(const zl_loop *loop, int fd);
void zl__registry_own(zl__watch *watch, int fd);
void zl__registry_disown(zl__watch *watch);
void zl__registry_free(zl_loop *loop);

/* ---- poller: the only code that waits ----------------------------------- */

/* Reported for the loop's own wake-up descriptor. No slot has index 0. */
#define ZL__TOKEN_WAKE 0

typedef struct zl__poller {
  const char *name;
  int (*open)(zl_loop *loop);
  void (*close)(zl_loop *loop);
  /* edge: report each write to an eventfd once, also if the count has been
   * read away meanwhile; else level-triggered. */
  int (*add)(zl_loop *loop, int fd, int events, bool edge, uint64_t token);
  int (*modify)(zl_loop *loop, int fd, int events, uint64_t token);
  void (*remove)(zl_loop *loop, int fd);
  /* Waits at most timeout_ns and calls zl__loop_report() for each event.
   * Returns 0 or an error; after -EINTR it may be called again at once. */
  int (*wait)(zl_loop *loop, int64_t timeout_ns);
  /* One that is readable when wait() would report something, level-triggered;
   * always the same. NULL: there is none. */
  int (*descriptor)(zl_loop *loop);
} zl__poller;

extern const zl__poller zl__poller_epoll;
extern const zl__poller zl__poller_posix;

/* ---- timers ------------------------------------------------------------- */

struct zl_timer {
  zl__heap_item item;
  zl_loop *loop;
  zl_timer_fn fn;
  void *arg;
  int64_t period; /* 0: once */
};

bool zl__timers_run(zl_loop *loop);

/* ---- callbacks ---------------------------------------------------------- */

typedef struct zl__callback {
  zl_callback_fn fn;
  void *arg;
} zl__callback;

/* Ring of pending callbacks; capacity is 0 or a power of two. */
typedef struct zl__callbacks {
  zl__callback *ring;
  size_t capacity;
  size_t head;
  size_t count;
  size_t collected; /* how many of them belong to the present iteration */
} zl__callbacks;

bool zl__callbacks_run(zl_loop *loop);
void zl__callbacks_free(zl_loop *loop);

/* ---- posts -------------------------------------------------------------- */

typedef struct zl__post {
  struct zl__post *next;
  zl_callback_fn fn;
  void *arg;
  void (*drop)(void *arg);
} zl__post;

typedef struct zl__mailbox {
  _Atomic(zl__post *) head; /* pushed by any thread, newest first */
  zl__post *taken;          /* the loop's own, oldest first */
  int wake_read;            /* in the poller, level-triggered */
  int wake_write;           /* the same descriptor where there is eventfd */
  pid_t pid;                /* of the process whose loop it wakes */
} zl__mailbox;

int zl__mailbox_open(zl__mailbox *mailbox);
void zl__mailbox_close(zl__mailbox *mailbox);
int zl__mailbox_drain_wake(const zl__mailbox *mailbox);
void zl__mailbox_wake(const zl__mailbox *mailbox);
bool zl__mailbox_empty(const zl__mailbox *mailbox);
void zl__posts_take(zl_loop *loop);
bool zl__posts_run(zl_loop *loop);

/* ---- signals ------------------------------------------------------------ */

struct zl_signal {
  zl__handle handle;
  /* On loop->signals: at rest. On loop->raised: collected, not yet called. */
  zl__link raised;
  int number;
  unsigned flags;
  zl_signal_fn fn;
  void *arg;
  /* The rest is the signal handler's, on any thread. */
  atomic_uint arrivals;      /* since the last call */
  _Atomic(zl_signal *) next; /* that watches the same signal */
};

bool zl__signals_pending(const zl_loop *loop);
void zl__signals_take(zl_loop *loop);
bool zl__signals_run(zl_loop *loop);
const char *zl__signals_verify(const zl_loop *loop);

/* ---- sockets ------------------------------------------------------------ */

enum zl__answer { ZL__UNKNOWN, ZL__NO, ZL__YES };

struct zl_socket {
  zl__watch watch;
  void *zmq;    /* the caller's zmq socket */
  int type;     /* ZMQ_PULL, ... */
  int interest; /* of an event-mode watch: ZL_READ, ZL_WRITE */
  /* Some libzmq call on the socket came after the last full check, and may have
   * taken away a signal: a report with EPOLLOUT alone then means something. */
  bool used;
  bool foreign;              /* operated by other code too: as if always used */
  enum zl__answer conflates; /* zl__socket_conflates() */
  int dead; /* -ETERM or -ENOTSOCK: no libzmq call any more; 0: alive */
  /* While it is served it is on no list: marking it dirty is remembered here
   * and becomes list membership when the serving ends. */
  bool serving;
  bool again;
  zl__link sweep; /* on loop->sweep: foreign REQ and REP */
  zl_socket_fn fn;
  void *arg;
};

int zl__socket_open(zl_socket *socket, void *zmq, unsigned flags);
void zl__socket_shut(zl_socket *socket);
void zl__socket_dirty(zl_socket *socket);
void zl__socket_die(zl_socket *socket, int rc);
void zl__socket_serve_begin(zl_socket *socket);
void zl__socket_serve_end(zl_socket *socket);
int zl__socket_events(zl_socket *socket);
bool zl__socket_conflates(zl_socket *socket);
bool zl__socket_retry(const zl_socket *socket, int *interrupts);
void zl__sockets_sweep(zl_loop *loop);

/* ---- streams ------------------------------------------------------------ */

/* A message in the send queue, or the report of one that has left it. */
/* Messages of at most so many frames, so many of each, are kept for later. */
enum { ZL__SPARE_FRAMES = 4, ZL__SPARE_MESSAGES = 256 };

typedef struct zl__message {
  struct zl__message *next;
  uint64_t token; /* 0: nobody wants to know */
  size_t bytes;   /* of all its frames; 0 for a report */
  int status;     /* what became of it; meaningless while unsent */
  uint32_t count; /* frames not yet given to libzmq; 0 once it has left */
  uint32_t capacity;
  zmq_msg_t frames[];
} zl__message;

typedef struct zl__spares {
  zl__message *first;
  int count;
} zl__spares;

/* First in first out. Those before `unsent` have left and wait to be reported;
 * `unsent` and what follows wait to be sent. */
typedef struct zl__queue {
  zl__message *head;
  zl__message *tail;
  zl__message *unsent;
  size_t unsent_count;
  size_t unsent_bytes;
} zl__queue;

int zl__frame_copy(zmq_msg_t *to, const zl_frame *from);
zl__message *zl__message_new(zl_loop *loop, const zl_frame *frames,
                             size_t count, uint64_t token);
zl__message *zl__message_take(zl_loop *loop, zmq_msg_t *frames, size_t count,
                              uint64_t token);
void zl__message_give_back(zl_loop *loop, zl__message *message,
                           zmq_msg_t *frames);
size_t zl__bytes_of(zmq_msg_t *frames, size_t count);
void zl__message_free(zl_loop *loop, zl__message *message);
void zl__messages_free(zl_loop *loop);
void zl__message_release(zl__message *message);
void zl__queue_push(zl__queue *queue, zl__message *message, bool unsent);
void zl__queue_sent(zl_loop *loop, zl__queue *queue, int status);
bool zl__queue_take_back(zl_loop *loop, zl__queue *queue, uint64_t token);
void zl__queue_drop_silent(zl_loop *loop, zl__queue *queue);
zl__message *zl__queue_pop_report(zl__queue *queue);
void zl__queue_free(zl_loop *loop, zl__queue *queue);
const char *zl__queue_verify(const zl__queue *queue);

struct zl_stream {
  zl_socket socket; /* its fn and interest are not used */
  zl_stream_fn on_recv;
  void *on_recv_arg;
  zl_sent_fn on_sent;
  void *on_sent_arg;
  zl_stream_error_fn on_error;
  void *on_error_arg;
  zl_stream_fn on_empty;
  void *on_empty_arg;
  zl_stream_fn on_room;
  void *on_room_arg;
  zl_stream_fn on_done; /* of zl_stream_drain(); NULL once it was called */
  void *on_done_arg;
  zl_timer *deadline; /* of zl_stream_drain(), or NULL */
  zl__queue queue;
  size_t most_messages; /* in the queue; 0: no limit */
  size_t most_bytes;
  bool refused;   /* a message for want of room; on_room is still to come */
  bool draining;  /* nothing more is accepted */
  bool early;     /* a REP queues messages without a request to answer */
  bool starved;   /* reports have used up the budget of the last turn */
  int batch;      /* messages per turn */
  int left;       /* of this turn or flush */
  bool drained;   /* this turn ended because the socket had no more */
  int lost;       /* the error that this turn ended with; 0: none */
  bool whole;     /* frames hold a whole message */
  bool unseen;    /* it was received ahead, and not yet delivered */
  bool looked_at; /* the callback is between peek and pop */
  bool large;     /* one of the frames is */
  int size;       /* of the frame received last, as zmq_msg_recv() told */
  int count;      /* frames received so far */
  int spent;      /* the first so many are of messages of this turn */
  int capacity;
  zmq_msg_t *frames;
  bool flushing; /* in zl_stream_flush(): stopping does not end the turn */
  bool telling;  /* in a callback for a message that has left the queue */
};

const char *zl__streams_verify(const zl_loop *loop);

/* ---- blocked loops ------------------------------------------------------ */

typedef struct zl__watchdog zl__watchdog;

void zl__watchdog_begin(zl__watchdog *watchdog);
void zl__watchdog_end(zl__watchdog *watchdog);

/* ---- stats -------------------------------------------------------------- */

typedef struct zl__stats {
  zl_stats total;
  int64_t busy_since;
  int64_t idle_since; /* 0: not in a wait */
  int64_t tick;       /* when the last call returned, or work began */
} zl__stats;

void zl__stats_working(zl_loop *loop);
void zl__stats_resting(zl_loop *loop, bool waits);
void zl__stats_called(zl_loop *loop);
void zl__stats_timer(zl_loop *loop, int64_t now, int64_t deadline);

/* ---- loop --------------------------------------------------------------- */

/* Where the present iteration is; a budget may end a step in each of them. */
typedef enum zl__phase {
  ZL__PHASE_COLLECT,   /* between two iterations */
  ZL__PHASE_CALLBACKS, /* those collected */
  ZL__PHASE_TIMERS,    /* those due at collection */
  ZL__PHASE_WAIT,      /* for events, if there is nothing to do */
  ZL__PHASE_POSTS,     /* and signals: those taken after the wait */
  ZL__PHASE_READY      /* the watches on loop->turn, each once */
} zl__phase;

struct zl_loop {
  zl__memory memory;
  zl_clock_fn clock;
  void *clock_ud;
  int64_t virtual_ns; /* the time, where the clock is virtual */
  zl_interrupt_fn interrupt;
  void *interrupt_ud;
  zl_slowest_fn slowest;
  void *slowest_ud;
  void *data;

  const zl__poller *poller;
  void *poller_state;
  pid_t pid;
  bool is_virtual; /* the clock */
  bool touch;      /* mark a socket dirty after every operation on it */
  bool hosted;     /* zl_loop_fd() was called */
  bool told;       /* its descriptor is readable, since the last step */

  zl__link handles;   /* all that are open */
  zl__link graveyard; /* closed, to be freed when the stack has unwound */
  zl__link lively;    /* all handles that are alive, and some that were */
  zl__link dirty;     /* watches to be served in the next dispatch */
  zl__link turn;      /* watches to be served in this dispatch */
  zl__link sweep;     /* foreign sockets that change state silently */
  zl__link signals;   /* signal watches at rest */
  zl__link raised;    /* signal watches to be called in this iteration */
  zl__slot *slots;
  uint32_t slot_count;
  uint32_t free_slot;
  uint32_t watch_count; /* slots in use */
  int prioritized;      /* open watches with another priority than 0 */
  uint32_t *owners;     /* descriptor -> index of the slot of its watch, or 0 */
  size_t owner_count;

  zl__heap heap;
  zl__callbacks callbacks;
  zl__stats stats;
  zl__mailbox mailbox;
  zl__spares spares[ZL__SPARE_FRAMES + 1]; /* by frames; reports have none */

  zl__phase phase;
  int depth;       /* frames of the core on the stack that call out */
  bool endless;    /* zl_loop_run() is: no step ends after this iteration */
  bool running;    /* zl_loop_run() or zl_loop_step() is one of them */
  bool breaking;   /* zl_loop_break(): return after this callback */
  bool woken;      /* by zl_loop_wake(), in this run or step */
  bool terminated; /* some socket reported ETERM, and no run has told */
  bool called;     /* something was called since the last sweep */
  int deaf;        /* the error of the wake-up descriptor; 0: none */
  int stale; /* reports for watches that are gone, since the last rebuild */
  atomic_bool stopping;
  /* Stretches of work and of rest so far; odd while at work. Written by the
   * loop's thread alone. */
  atomic_uint stretch;
  zl__watchdog *watchdog; /* NULL: nobody looks at it */
  atomic_bool waking;     /* zl_loop_wake() was called */
  atomic_bool signalled;  /* some watcher of a signal has arrivals */

  int64_t looked;      /* the tick at which events were last looked for */
  int64_t handled;     /* in this run or step */
  int64_t events_left; /* of the step's budget; enough where that has none */
  int64_t budget_ends; /* ZL_FOREVER: no limit */
};

void zl__loop_tell_host(zl_loop *loop);
void zl__loop_report(zl_loop *loop, uint64_t token, int events);
bool zl__loop_forked(const zl_loop *loop);
void zl__loop_enter(zl_loop *loop);
void zl__loop_leave(zl_loop *loop);

/* A host that waits for the descriptor of the loop has queued something outside
 * of a step, or started a timer that is due before all others. */
static inline void zl__loop_changed(zl_loop *loop) {
  if (loop->hosted && loop->depth == 0 && !loop->told) {
    zl__loop_tell_host(loop);
  }
}

/* Must the step or run on the stack return before the next call out? */
static inline bool zl__loop_spent(const zl_loop *loop) {
  return loop->breaking || loop->events_left <= 0 ||
         (loop->budget_ends != ZL_FOREVER &&
          loop->clock(loop->clock_ud) >= loop->budget_ends);
}

/* To be called for each call out. */
static inline void zl__loop_handled(zl_loop *loop) {
  loop->called = true;
  loop->handled++;
  loop->events_left--;
}

static inline void zl__stretch_add(zl_loop *loop, unsigned count) {
  unsigned stretch = atomic_load_explicit(&loop->stretch, memory_order_relaxed);
  atomic_store_explicit(&loop->stretch, stretch + count, memory_order_release);
}

/* ---- clock -------------------------------------------------------------- */

int64_t zl__clock_monotonic(void *unused);
int64_t zl__clock_virtual(void *loop);
int64_t zl__time_next(int64_t deadline_ns, int64_t period_ns, int64_t now_ns,
                      uint64_t *missed);

#endif /* ZL_INTERNAL_H */
