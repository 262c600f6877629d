/* signal.c - signals of the process, delivered by loops.
 * SPDX-License-Identifier: MIT
 *
 * Signal dispositions belong to the process, not to a loop or thread, so the
 * one table here has to be global: for each signal, its watchers and the former
 * disposition. Nothing is installed before the first watcher; the last one
 * restores the former disposition, unless other code has replaced our handler.
 *
 * The handler does only what is safe: it counts, marks the loop and writes to
 * its wake-up descriptor. In the phase of the posts the loop calls each watcher
 * once, with the count. Rejected: signalfd, which needs every thread of the
 * host to block the signal, keeps one record of many arrivals, and leaves a
 * mask that survives exec.
 *
 * The table is changed under a mutex and with all signals blocked, so no
 * handler ever waits for its own thread. The handler itself takes no lock. It
 * increments `inside` while it walks the list of watchers; code that removes a
 * watcher waits until `inside` is 0 before it frees the memory. All these
 * operations are sequentially consistent: once the remover has read 0, a
 * handler that enters later sees the list without the watcher.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "signal.h"

#if ATOMIC_INT_LOCK_FREE != 2 || ATOMIC_POINTER_LOCK_FREE != 2
#error "a signal handler needs atomics without locks"
#endif

typedef void (*plain_handler)(int number);
typedef void (*info_handler)(int number, siginfo_t *info, void *context);

typedef struct entry {
  _Atomic(zl_signal *) watchers;
  /* The former handler in one of its two forms; both NULL if there was none. */
  _Atomic(plain_handler) former_plain;
  _Atomic(info_handler) former_info;
  struct sigaction former; /* under the mutex */
  atomic_uint inside;      /* handlers walking the list */
  /* When the last watcher was closed, another handler was in place, which may
   * call ours: if ours called it, they could call each other for ever. */
  atomic_bool covered;
} entry;

static entry entries[NSIG];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static sigset_t mask_before; /* of the thread that holds the mutex */
static bool knows_forks;     /* under the mutex */

/* ---- the mutex ---------------------------------------------------------- */

static void lock(void) {
  sigset_t all;
  sigset_t before;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &before);
  (void)pthread_mutex_lock(&mutex);
  mask_before = before;
}

static void unlock(void) {
  sigset_t before = mask_before;
  (void)pthread_mutex_unlock(&mutex);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* The handlers counted by `inside` ran in threads that the child does not
 * have. */
static void unlock_in_child(void) {
  for (int i = 0; i < NSIG; i++) {
    atomic_store(&entries[i].inside, 0);
  }
  unlock();
}

/* A fork must not happen while the table is half changed, or while a thread
 * that the child will not have holds the mutex. */
static int know_forks(void) {
  if (knows_forks) {
    return 0;
  }
  int rc = -pthread_atfork(lock, unlock, unlock_in_child);
  knows_forks = rc == 0;
  return rc;
}

/* ---- the handler -------------------------------------------------------- */

/* First the count, then the mark, then the wake-up: the loop reads them in the
 * reverse order. Many arrivals cause one wake-up. */
static void notify(zl_signal *watch) {
  zl_loop *loop = watch->handle.loop;
  atomic_fetch_add(&watch->arrivals, 1);
  if (!atomic_exchange(&loop->signals.arrived, true)) {
    zl__mailbox_wake(&loop->mailbox);
  }
}

static void call_former(entry *e, int number, siginfo_t *info, void *context) {
  plain_handler plain = atomic_load(&e->former_plain);
  info_handler with_info = atomic_load(&e->former_info);
  if (with_info) {
    with_info(number, info, context);
  } else if (plain) {
    plain(number);
  }
}

/* A forked child shares the loops' descriptors with its parent, and must not
 * wake the parent for its own signals. The former handler is called last, since
 * it may never return. */
static void signal_handler(int number, siginfo_t *info, void *context) {
  entry *e = &entries[number];
  int saved = errno;
  pid_t pid = getpid();
  bool chains = false;
  atomic_fetch_add(&e->inside, 1);
  for (zl_signal *watch = atomic_load(&e->watchers); watch;
       watch = atomic_load(&watch->next)) {
    chains = chains || (watch->flags & ZL_SIGNAL_CHAIN);
    if (watch->handle.loop->mailbox.pid == pid) {
      notify(watch);
    }
  }
  atomic_fetch_sub(&e->inside, 1);
  if (chains && !atomic_load(&e->covered)) {
    call_former(e, number, info, context);
  }
  errno = saved;
}

/* ---- dispositions ------------------------------------------------------- */

static bool is_ours(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) &&
         action->sa_sigaction == signal_handler;
}

static bool is_function(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) ||
         (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/* Publishes the former disposition for the handler. */
static void publish_former(entry *e) {
  const struct sigaction *former = &e->former;
  bool has_info = (former->sa_flags & SA_SIGINFO) != 0;
  bool is_plain = !has_info && is_function(former);
  atomic_store(&e->former_plain, is_plain ? former->sa_handler : NULL);
  atomic_store(&e->former_info, has_info ? former->sa_sigaction : NULL);
}

/* A signal may arrive as soon as the handler is installed, so the former
 * disposition is published before; and again afterwards, in case another thread
 * has changed it in between. */
static int signal_install(int number) {
  entry *e = &entries[number];
  struct sigaction present;
  struct sigaction ours;
  memset(&ours, 0, sizeof ours);
  ours.sa_sigaction = signal_handler;
  ours.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  (void)sigfillset(&ours.sa_mask);
  if (sigaction(number, NULL, &present) < 0) {
    return -errno;
  }
  if (is_ours(&present)) {
    return 0; /* restored by the code that had replaced ours */
  }
  e->former = present;
  publish_former(e);
  if (sigaction(number, &ours, &e->former) < 0) {
    return -errno;
  }
  publish_former(e);
  return 0;
}

static void signal_restore(int number) {
  entry *e = &entries[number];
  struct sigaction present;
  if (sigaction(number, NULL, &present) < 0) {
    return;
  }
  if (is_ours(&present)) {
    (void)sigaction(number, &e->former, NULL);
  } else if (is_function(&present)) {
    atomic_store(&e->covered, true);
  }
}

/* ---- the list of watchers ------------------------------------------------ */

/* Handlers are short; sleeping lets one in a thread of lower priority run. */
static void wait_for_handlers(entry *e) {
  static const struct timespec moment = {.tv_nsec = 20000};
  while (atomic_load(&e->inside) > 0) {
    (void)nanosleep(&moment, NULL);
  }
}

/* The watcher is on the list before the handler is installed, so no signal is
 * lost. */
static int enter(zl_signal *watch) {
  entry *e = &entries[watch->number];
  int rc = know_forks();
  if (rc < 0) {
    return rc;
  }
  zl_signal *first = atomic_load(&e->watchers);
  atomic_store(&watch->next, first);
  atomic_store(&e->watchers, watch);
  if (!first) {
    rc = signal_install(watch->number);
  }
  if (rc < 0) {
    atomic_store(&e->watchers, NULL);
    wait_for_handlers(e);
  }
  return rc;
}

/* The former disposition is restored before the last watcher leaves the list,
 * so no signal is lost in between. */
static void leave(zl_signal *watch) {
  entry *e = &entries[watch->number];
  _Atomic(zl_signal *) *place = &e->watchers;
  while (atomic_load(place) != watch) {
    place = &atomic_load(place)->next;
  }
  zl_signal *next = atomic_load(&watch->next);
  if (!next && place == &e->watchers) {
    signal_restore(watch->number);
  }
  atomic_store(place, next);
  wait_for_handlers(e);
}

/* ---- handles ------------------------------------------------------------ */

static void signal_close_handle(zl__handle *handle) {
  zl_signal_close(zl__container(handle, zl_signal, handle));
}

static bool signal_alive(const zl__handle *handle) {
  (void)handle;
  return true;
}

static const zl__handle_kind signal_kind = {
    .size = sizeof(zl_signal),
    .close = signal_close_handle,
    .alive = signal_alive,
};

/* After the handler of a fault returns, the faulting instruction runs again,
 * for ever: no loop would get to deliver the signal. */
static bool may_be_watched(int number) {
  static const int never[] = {SIGKILL, SIGSTOP, SIGSEGV,
                              SIGBUS,  SIGFPE,  SIGILL};
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
    if (never[i] == number) {
      return false;
    }
  }
  return number > 0 && number < NSIG;
}

int zl_signal_new(zl_loop *loop, int signum, zl_signal_fn fn, void *arg,
                  unsigned flags, zl_signal **out) {
  zl__handle *handle;
  *out = NULL;
  if (!may_be_watched(signum) || (flags & ~(unsigned)ZL_SIGNAL_CHAIN)) {
    return -EINVAL;
  }
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  int rc = zl__handle_new(loop, &signal_kind, &handle);
  if (rc < 0) {
    return rc;
  }
  zl_signal *watch = zl__container(handle, zl_signal, handle);
  zl__link_init(&watch->raised);
  watch->number = signum;
  watch->flags = flags;
  watch->fn = fn;
  watch->arg = arg;
  atomic_init(&watch->arrivals, 0);
  atomic_init(&watch->next, NULL);
  lock();
  rc = enter(watch);
  unlock();
  if (rc < 0) {
    zl__handle_bury(handle);
    return rc;
  }
  zl__append(&loop->signals.at_rest, &watch->raised);
  zl__handle_enliven(handle);
  *out = watch;
  return 0;
}

void zl_signal_close(zl_signal *watch) {
  if (!watch || watch->handle.closed) {
    return;
  }
  lock();
  leave(watch);
  unlock();
  zl__unlink(&watch->raised);
  zl__handle_bury(&watch->handle);
}

/* ---- delivery ----------------------------------------------------------- */

void zl__signals_init(zl__signals *signals) {
  zl__link_init(&signals->at_rest);
  zl__link_init(&signals->raised);
  atomic_init(&signals->arrived, false);
}

bool zl__signals_pending(const zl_loop *loop) {
  return zl__linked(&loop->signals.raised) ||
         atomic_load(&loop->signals.arrived);
}

void zl__signals_take(zl_loop *loop) {
  if (!atomic_load(&loop->signals.arrived)) {
    return;
  }
  atomic_store(&loop->signals.arrived, false);
  zl__link *next;
  for (zl__link *link = loop->signals.at_rest.next;
       link != &loop->signals.at_rest; link = next) {
    zl_signal *watch = zl__container(link, zl_signal, raised);
    next = link->next;
    if (atomic_load(&watch->arrivals) > 0) {
      zl__unlink(link);
      zl__append(&loop->signals.raised, link);
    }
  }
}

bool zl__signals_run(zl_loop *loop) {
  while (zl__first(&loop->signals.raised)) {
    if (zl__budget_spent(&loop->budget, &loop->clock)) {
      return false;
    }
    zl__link *link = zl__first(&loop->signals.raised);
    if (!link) {
      break; /* the user's clock has closed it */
    }
    zl_signal *watch = zl__container(link, zl_signal, raised);
    zl__unlink(link);
    zl__append(&loop->signals.at_rest, link);
    unsigned count = atomic_exchange(&watch->arrivals, 0);
    loop->stats.total.signals++;
    zl__budget_count(&loop->budget);
    watch->fn(watch, watch->number, count, watch->arg);
    zl__stats_called(loop);
  }
  return true;
}

static const char *verify(const zl_loop *loop, const zl__link *head) {
  for (const zl__link *link = head->next; link != head; link = link->next) {
    const zl_signal *watch = zl__container(link, const zl_signal, raised);
    if (watch->handle.closed || watch->handle.loop != loop) {
      return "a watched signal's watch is open";
    }
  }
  return NULL;
}

const char *zl__signals_verify(const zl_loop *loop) {
  const char *broken = verify(loop, &loop->signals.at_rest);
  return broken ? broken : verify(loop, &loop->signals.raised);
}
