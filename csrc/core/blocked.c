/* blocked.c - tells a loop's thread that it has been busy for too long.
 * SPDX-License-Identifier: MIT
 *
 * The loop counts stretches of work and rest (loop->stretch, odd while it
 * works). A thread, the watchdog, reads the count from time to time. If it
 * stays at the same odd number longer than the threshold, the watchdog sends
 * the loop's thread a signal, once per stretch. So a loop that is not blocked
 * pays two additions per iteration, with or without a watchdog.
 *
 * A signal may arrive late: after the stretch, after the watchdog has ended,
 * after the loop was closed. It carries no data. Its handler searches the table
 * of posts for watchdogs of its own thread that have signalled the current
 * stretch. A post belongs to the thread that filled it, on which the handler
 * runs too, so what the handler finds there is complete and alive.
 *
 * The watchdog sends while a flag is set, and the end of a run waits for the
 * flag to clear: afterwards the thread may end, and receives no more signals.
 *
 * Rejected: SIGALRM and timers of the process, which hosts use; comparing times
 * stored by the loop, because each reading of the clock takes 20 ns.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blocked.h"
#include "loop.h"

/* Checks per threshold: a block is reported after 1 to 1.25 thresholds. */
enum { LOOKS = 4 };

#define SHORTEST_PAUSE_NS INT64_C(1000000)
/* A time_t may have 32 bits. */
#define LONGEST_PAUSE_NS INT64_C(3600000000000)

struct zl__watchdog {
  zl_loop *loop;
  int64_t threshold;
  int signum;
  zl_blocked_fn fn;
  void *arg;
  int post; /* its place in the table */

  pthread_t worker;  /* the loop's thread, in its current run */
  atomic_uint asked; /* the stretch for which a signal was sent, or 0 */
  atomic_bool sending;

  pthread_t thread; /* its own */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  bool ending; /* under the mutex */
};

/* A handler is given only the signal's number, hence one table for the process.
 * The mutex guards claiming and leaving a post; the handler reads only atomic
 * fields, without it. */
enum { POSTS = 64 };

static struct post {
  int signum;              /* 0: free */
  struct sigaction former; /* of the signal, before its first post */
  atomic_uintptr_t worker; /* the thread that may read the next field */
  _Atomic(zl__watchdog *) watchdog;
} posts[POSTS];

static pthread_mutex_t posts_mutex = PTHREAD_MUTEX_INITIALIZER;

/* pthread_t is a number or a pointer. */
static uintptr_t this_thread(void) {
  return (uintptr_t)pthread_self();
}

/* ---- on the loop's thread, in a signal handler --------------------------- */

static void answer(zl__watchdog *watchdog) {
  unsigned asked = atomic_exchange(&watchdog->asked, 0);
  if (asked != 0 && asked == atomic_load(&watchdog->loop->stretch)) {
    watchdog->fn(watchdog->loop, watchdog->arg);
  }
}

static void blocked_on_signal(int signum) {
  int saved = errno;
  uintptr_t worker = this_thread();
  (void)signum;
  for (int i = 0; i < POSTS; i++) {
    if (atomic_load(&posts[i].worker) == worker) {
      zl__watchdog *watchdog = atomic_load(&posts[i].watchdog);
      if (watchdog) {
        answer(watchdog);
      }
    }
  }
  errno = saved;
}

/* ---- dispositions, and places in the table ------------------------------- */

static void lock_posts(void) {
  (void)pthread_mutex_lock(&posts_mutex);
}

static void unlock_posts(void) {
  (void)pthread_mutex_unlock(&posts_mutex);
}

/* A fork must not happen while another thread holds the mutex: the child would
 * not have that thread, and may watch loops of its own. */
static int know_forks_locked(void) {
  static bool knows_forks;
  if (knows_forks) {
    return 0;
  }
  int rc = -pthread_atfork(lock_posts, unlock_posts, unlock_posts);
  knows_forks = rc == 0;
  return rc;
}

static const struct post *first_with(int signum) {
  for (int i = 0; i < POSTS; i++) {
    if (posts[i].signum == signum) {
      return &posts[i];
    }
  }
  return NULL;
}

static int blocked_install(int signum, struct sigaction *former) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = blocked_on_signal;
  action.sa_flags = SA_RESTART | SA_ONSTACK;
  (void)sigemptyset(&action.sa_mask);
  return sigaction(signum, &action, former) < 0 ? -errno : 0;
}

/* Does nothing if other code has installed a handler in place of ours. */
static void blocked_restore(int signum, const struct sigaction *former) {
  struct sigaction present;
  if (sigaction(signum, NULL, &present) == 0 &&
      present.sa_handler == blocked_on_signal) {
    (void)sigaction(signum, former, NULL);
  }
}

static int claim_locked(zl__watchdog *watchdog) {
  struct post *post = posts;
  int rc = know_forks_locked();
  if (rc < 0) {
    return rc;
  }
  while (post < posts + POSTS && post->signum != 0) {
    post++;
  }
  if (post == posts + POSTS) {
    return -EAGAIN;
  }
  const struct post *other = first_with(watchdog->signum);
  if (other) {
    post->former = other->former;
  } else {
    rc = blocked_install(watchdog->signum, &post->former);
  }
  if (rc == 0) {
    post->signum = watchdog->signum;
    watchdog->post = (int)(post - posts);
  }
  return rc;
}

static int claim_post(zl__watchdog *watchdog) {
  lock_posts();
  int rc = claim_locked(watchdog);
  unlock_posts();
  return rc;
}

/* Afterwards no handler finds the watchdog. */
static void empty_post(const zl__watchdog *watchdog) {
  atomic_store(&posts[watchdog->post].watchdog, NULL);
  atomic_store(&posts[watchdog->post].worker, 0);
}

static void leave_post(const zl__watchdog *watchdog) {
  struct post *post = &posts[watchdog->post];
  empty_post(watchdog);
  lock_posts();
  post->signum = 0;
  if (!first_with(watchdog->signum)) {
    blocked_restore(watchdog->signum, &post->former);
  }
  unlock_posts();
}

/* Unblocks the signal in this thread. A pending one is delivered before the
 * system call returns. */
static void unblock(int signum) {
  sigset_t set;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, signum);
  (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- the watchdog's thread ----------------------------------------------- */

static void ask(zl__watchdog *watchdog, unsigned stretch) {
  atomic_store(&watchdog->sending, true);
  if (atomic_load(&watchdog->loop->stretch) == stretch) {
    atomic_store(&watchdog->asked, stretch);
    (void)pthread_kill(watchdog->worker, watchdog->signum);
  }
  atomic_store(&watchdog->sending, false);
}

/* With the mutex held. */
static void pause_for(zl__watchdog *watchdog, int64_t time_ns) {
  int64_t until = zl_time_add(zl__clock_monotonic(NULL), time_ns);
  struct timespec deadline = {.tv_sec = (time_t)(until / 1000000000),
                              .tv_nsec = (long)(until % 1000000000)};
  (void)pthread_cond_timedwait(&watchdog->changed, &watchdog->mutex, &deadline);
}

static void *watch(void *arg) {
  zl__watchdog *watchdog = arg;
  int64_t pause = watchdog->threshold / LOOKS;
  unsigned seen = 0; /* the last stretch seen; even ones are ignored */
  bool asked = true;
  int64_t since = 0;
  pause = pause < SHORTEST_PAUSE_NS ? SHORTEST_PAUSE_NS : pause;
  pause = pause > LONGEST_PAUSE_NS ? LONGEST_PAUSE_NS : pause;
  (void)pthread_mutex_lock(&watchdog->mutex);
  while (!watchdog->ending) {
    unsigned stretch = atomic_load(&watchdog->loop->stretch);
    int64_t now = zl__clock_monotonic(NULL);
    if (stretch != seen) {
      seen = stretch;
      since = now;
      asked = stretch % 2 == 0;
    } else if (!asked && zl_time_until(now, since) >= watchdog->threshold) {
      ask(watchdog, stretch);
      asked = true;
    }
    pause_for(watchdog, pause);
  }
  (void)pthread_mutex_unlock(&watchdog->mutex);
  return NULL;
}

/* Starts the thread with all signals blocked: the host's are not for it. */
static int start_thread(zl__watchdog *watchdog) {
  sigset_t all;
  sigset_t former;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &former);
  int rc = pthread_create(&watchdog->thread, NULL, watch, watchdog);
  (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
  return -rc;
}

static void end_thread(zl__watchdog *watchdog) {
  (void)pthread_mutex_lock(&watchdog->mutex);
  watchdog->ending = true;
  (void)pthread_cond_signal(&watchdog->changed);
  (void)pthread_mutex_unlock(&watchdog->mutex);
  (void)pthread_join(watchdog->thread, NULL);
}

/* ---- life ---------------------------------------------------------------- */

static int init_waiting(zl__watchdog *watchdog) {
  pthread_condattr_t attributes;
  int rc = pthread_mutex_init(&watchdog->mutex, NULL);
  if (rc != 0) {
    return -rc;
  }
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  rc = pthread_cond_init(&watchdog->changed, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  if (rc != 0) {
    (void)pthread_mutex_destroy(&watchdog->mutex);
  }
  return -rc;
}

static void destroy_waiting(zl__watchdog *watchdog) {
  (void)pthread_cond_destroy(&watchdog->changed);
  (void)pthread_mutex_destroy(&watchdog->mutex);
}

static int start(zl__watchdog *watchdog) {
  int rc = init_waiting(watchdog);
  if (rc < 0) {
    return rc;
  }
  rc = claim_post(watchdog);
  if (rc < 0) {
    destroy_waiting(watchdog);
    return rc;
  }
  unblock(watchdog->signum);
  zl__watchdog_begin(watchdog);
  atomic_store(&posts[watchdog->post].watchdog, watchdog);
  rc = start_thread(watchdog);
  if (rc < 0) {
    leave_post(watchdog);
    destroy_waiting(watchdog);
  }
  return rc;
}

static void stop(zl__watchdog *watchdog) {
  end_thread(watchdog);
  /* Any pending signal is delivered now: later it would meet the former
   * disposition, which for most signals ends the process. */
  unblock(watchdog->signum);
  leave_post(watchdog);
  destroy_waiting(watchdog);
}

/* A forked child does not have the thread, and the mutex may stay locked for
 * ever. The signal's handler stays installed, as in the parent. */
static void end_watchdog(zl__watchdog *watchdog) {
  if (zl__mailbox_forked(&watchdog->loop->mailbox)) {
    empty_post(watchdog);
  } else {
    stop(watchdog);
  }
  zl__free(&watchdog->loop->memory, watchdog, sizeof *watchdog);
}

static int new_watchdog(zl_loop *loop, int64_t threshold_ns, int signum,
                        zl_blocked_fn fn, void *arg) {
  zl__watchdog *watchdog = zl__alloc(&loop->memory, sizeof *watchdog);
  if (!watchdog) {
    return -ENOMEM;
  }
  memset(watchdog, 0, sizeof *watchdog);
  watchdog->loop = loop;
  watchdog->threshold = threshold_ns;
  watchdog->signum = signum;
  watchdog->fn = fn;
  watchdog->arg = arg;
  int rc = start(watchdog);
  if (rc < 0) {
    zl__free(&loop->memory, watchdog, sizeof *watchdog);
    return rc;
  }
  loop->watchdog = watchdog;
  return 0;
}

/* The default signal, one that hosts are unlikely to use. Without realtime
 * signals: one that is ignored where it has no handler. */
static int default_signal(void) {
#ifdef SIGRTMIN
  return SIGRTMIN + 7;
#else
  return SIGURG;
#endif
}

int zl_loop_watch_blocking(zl_loop *loop, int64_t threshold_ns, int signum,
                           zl_blocked_fn fn, void *arg) {
  zl__watchdog *former = loop->watchdog;
  if (threshold_ns < 0 || signum < 0 || (threshold_ns > 0 && !fn)) {
    return -EINVAL;
  }
  if (threshold_ns > 0) {
    if (zl__mailbox_forked(&loop->mailbox)) {
      return -ECHILD;
    }
    int rc = new_watchdog(loop, threshold_ns,
                          signum == 0 ? default_signal() : signum, fn, arg);
    if (rc < 0) {
      return rc;
    }
  } else {
    loop->watchdog = NULL;
  }
  if (former) {
    end_watchdog(former);
  }
  return 0;
}

int zl_loop_blocking_signal(const zl_loop *loop) {
  return loop->watchdog ? loop->watchdog->signum : 0;
}

void zl_loop_not_blocked(zl_loop *loop) {
  zl__stretch_add(&loop->stretch, 2);
}

/* ---- for the loop -------------------------------------------------------- */

void zl__watchdog_begin(zl__watchdog *watchdog) {
  watchdog->worker = pthread_self();
  atomic_store(&posts[watchdog->post].worker, this_thread());
}

/* In a forked child nothing sends, and the flag may stay set. */
void zl__watchdog_end(zl__watchdog *watchdog) {
  atomic_thread_fence(memory_order_seq_cst);
  while (atomic_load(&watchdog->sending) &&
         !zl__mailbox_forked(&watchdog->loop->mailbox)) {
    (void)sched_yield();
  }
}
