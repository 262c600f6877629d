/* test_readiness.c - no wake-up is ever missed: stress, and its controls.
 * SPDX-License-Identifier: MIT
 *
 * Subjects are sockets of every type and transport, watched by one loop, with
 * small buffers; two threads operate their peers at random. The loop's
 * callbacks and a timer send and receive on subjects other than their own,
 * which consumes signals, and report it as the header requires.
 *
 * In each round the peers are stopped and the loop runs until it has nothing to
 * do and blocks. Then an oracle asks libzmq about each subject: one that is
 * ready for an event that its watch requested has been missed.
 *
 * The controls leave out what the header requires, and must be caught missing
 * something, or the test would prove nothing.
 *
 * ZL_STRESS_SECONDS, or an argument such as seconds=10, sets how long each mode
 * runs; other arguments choose modes by name.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/epoll.h>
#endif
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/loop.h"
#include "support/clock.h"
#include "support/sockets.h"
#include "test.h"

enum {
  SUBJECTS = 24,
  THREADS = 2,
  HIGH_WATER = 3,
  BODY = 200,           /* bytes of a message */
  KERNEL_BUFFER = 4096, /* of a TCP connection, each way */
  LONG_MOMENT = 100000, /* nanoseconds for a question to libzmq, not to sleep */
  IDLE_STEPS = 3,       /* in a row: then the loop counts as at rest */
  CONTROL_SECONDS = 20,
  WATCHDOG_SECONDS = 60
};

typedef struct mode {
  int backend;
  unsigned config; /* ZL_CONFIG_... */
  unsigned flags;  /* ZL_FOREIGN */
  bool streams;    /* zl_stream in place of zl_socket */
  bool storm;      /* of signals */
  bool untold;     /* control: neither zl_socket_used() nor touch */
  bool untouched;  /* control: no touch, where a reply changes the state */
} mode;

typedef struct subject {
  int type;
  transport kind;
  void *socket;
  zl_socket *watch; /* one of these two */
  zl_stream *stream;
  int quota;   /* messages it wants to send: with some it asks for ZL_WRITE */
  bool owes;   /* REP: a reply */
  bool paused; /* stream */
} subject;

typedef struct peer {
  int type;
  void *socket;
  bool delimiter; /* of a REP: requests begin with an empty frame */
  bool owes;      /* REP: a reply */
} peer;

static struct {
  mode mode;
  zl_loop *loop;
  void *context;
  zl_timer *poker;
  subject subjects[SUBJECTS];
  peer peers[SUBJECTS];
  uint64_t seed;
  bool quiet; /* callbacks take what is there and start nothing new */
  long rounds;
  long calls;
  long received;
  long sent;
  long missed;
  int sleepers; /* threads that are parked */
  bool park;
  bool quit;
  int witness; /* the oracle's own set of descriptors */
} world;

static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_moved = PTHREAD_COND_INITIALIZER;
static const char body[BODY];

static int roll(uint64_t *seed, int sides) {
  *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return (int)((*seed >> 33) % (unsigned)sides);
}

static int dice(int sides) {
  return roll(&world.seed, sides);
}

/* ---- types -------------------------------------------------------------- */

typedef struct couple {
  int subject;
  int peer;
} couple;

static const couple couples[] = {
    {ZMQ_DEALER, ZMQ_DEALER}, {ZMQ_PULL, ZMQ_PUSH}, {ZMQ_REP, ZMQ_DEALER},
    {ZMQ_PAIR, ZMQ_PAIR},     {ZMQ_REQ, ZMQ_REP},   {ZMQ_SUB, ZMQ_PUB},
    {ZMQ_PUSH, ZMQ_PULL},
};
enum { COUPLES = sizeof couples / sizeof *couples };

static const char *type_name(int type) {
  switch (type) {
  case ZMQ_DEALER: return "DEALER";
  case ZMQ_PULL: return "PULL";
  case ZMQ_REP: return "REP";
  case ZMQ_PAIR: return "PAIR";
  case ZMQ_REQ: return "REQ";
  case ZMQ_SUB: return "SUB";
  default: return "PUSH";
  }
}

static bool can_send(const subject *s) {
  return s->type != ZMQ_PULL && s->type != ZMQ_SUB &&
         (s->type != ZMQ_REP || s->owes);
}

static bool can_receive(const subject *s) {
  return s->type != ZMQ_PUSH;
}

/* ---- the peers' threads ------------------------------------------------- */

static void peer_send(peer *p) {
  if (p->type == ZMQ_PULL || (p->type == ZMQ_REP && !p->owes)) {
    return;
  }
  if (p->delimiter &&
      zmq_send(p->socket, "", 0, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0) {
    return;
  }
  if (zmq_send(p->socket, body, sizeof body, ZMQ_DONTWAIT) >= 0) {
    p->owes = false;
  }
}

static void peer_receive(peer *p) {
  char buffer[BODY];
  if (p->type == ZMQ_PUSH || p->type == ZMQ_PUB ||
      (p->type == ZMQ_REP && p->owes)) {
    return;
  }
  if (zmq_recv(p->socket, buffer, sizeof buffer, ZMQ_DONTWAIT) >= 0) {
    p->owes = p->type == ZMQ_REP;
  }
}

/* Returns false when the thread is to end. */
static bool pass_gate(void) {
  CHECK_INT(pthread_mutex_lock(&gate), 0);
  if (world.park) {
    world.sleepers++;
    CHECK_INT(pthread_cond_broadcast(&gate_moved), 0);
    while (world.park && !world.quit) {
      CHECK_INT(pthread_cond_wait(&gate_moved, &gate), 0);
    }
    world.sleepers--;
  }
  bool go_on = !world.quit;
  CHECK_INT(pthread_mutex_unlock(&gate), 0);
  return go_on;
}

static void *operate_peers(void *arg) {
  int first = *(int *)arg;
  uint64_t seed = 77U + (uint64_t)first;
  while (pass_gate()) {
    for (int i = first; i < SUBJECTS; i += THREADS) {
      peer *p = &world.peers[i];
      for (int n = roll(&seed, 4); n > 0; n--) {
        if (roll(&seed, 2)) {
          peer_send(p);
        } else {
          peer_receive(p);
        }
      }
    }
    if (roll(&seed, 3) == 0) { /* let the loop get to sleep */
      struct timespec t = {0, roll(&seed, 200000)};
      (void)nanosleep(&t, NULL);
    }
  }
  return NULL;
}

static void park_peers(bool park) {
  CHECK_INT(pthread_mutex_lock(&gate), 0);
  world.park = park;
  CHECK_INT(pthread_cond_broadcast(&gate_moved), 0);
  while (park && world.sleepers < THREADS) {
    CHECK_INT(pthread_cond_wait(&gate_moved, &gate), 0);
  }
  CHECK_INT(pthread_mutex_unlock(&gate), 0);
}

/* ---- operations on subjects --------------------------------------------- */

/* Does what the header requires after a call on a watched socket. silent: the
 * call has changed the state without a signal. */
static void tell(subject *s, bool silent) {
  if (world.mode.untold || world.mode.flags & ZL_FOREIGN) {
    return;
  }
  bool touch = silent && !world.mode.untouched;
  if (s->stream) {
    (touch ? zl_stream_touch : zl_stream_used)(s->stream);
  } else {
    (touch ? zl_socket_touch : zl_socket_used)(s->watch);
  }
}

static bool send_directly(subject *s) {
  if (!can_send(s) ||
      zmq_send(s->socket, body, sizeof body, ZMQ_DONTWAIT) < 0) {
    return false;
  }
  s->owes = false;
  world.sent++;
  return true;
}

static bool receive_directly(subject *s) {
  char buffer[BODY];
  if (!can_receive(s) ||
      zmq_recv(s->socket, buffer, sizeof buffer, ZMQ_DONTWAIT) < 0) {
    return false;
  }
  s->owes = s->type == ZMQ_REP;
  world.received++;
  return true;
}

static int ask(subject *s) {
  int events;
  size_t size = sizeof events;
  int rc;
  do {
    rc = zmq_getsockopt(s->socket, ZMQ_EVENTS, &events, &size);
  } while (rc < 0 && zmq_errno() == EINTR);
  CHECK_INT(rc, 0);
  return events;
}

static void want_to_send(subject *s) {
  if (can_send(s)) {
    s->quota += 1 + dice(3);
    CHECK_INT(zl_socket_update(s->watch, ZL_READ | ZL_WRITE), 0);
  }
}

static void on_recv(zl_stream *stream, void *arg);

static void send_by_stream(subject *s) {
  zl_frame frame = {body, sizeof body};
  if (can_send(s) && zl_stream_queued(s->stream) < 5) {
    CHECK(zl_stream_send(s->stream, &frame, 1, (uint64_t)dice(2)) >= 0);
    s->owes = false;
    world.sent++;
  }
}

static void pause_or_resume(subject *s) {
  s->paused = !s->paused && can_receive(s);
  zl_stream_on_recv(s->stream, s->paused || !can_receive(s) ? NULL : on_recv,
                    s);
}

/* Something that other code might do with a subject. */
static void poke(subject *s) {
  switch (dice(7)) {
  case 0:
  case 1:
    if (s->stream) {
      send_by_stream(s);
    } else {
      tell(s, send_directly(s) && s->type == ZMQ_REP);
    }
    break;
  case 2:
  case 3: tell(s, receive_directly(s) && s->type == ZMQ_REQ); break;
  case 4:
    (void)ask(s);
    tell(s, false);
    break;
  case 5:
    if (s->stream) {
      pause_or_resume(s);
    } else {
      want_to_send(s);
    }
    break;
  default:
    if (s->stream) {
      CHECK_INT(zl_stream_set_batch(s->stream, 1 + dice(3)), 0);
    }
    break;
  }
}

static void poke_some(void) {
  world.calls++;
  if (world.quiet) {
    return;
  }
  for (int n = dice(4); n > 0; n--) {
    poke(&world.subjects[dice(SUBJECTS)]);
  }
}

/* ---- callbacks ---------------------------------------------------------- */

static void on_poker(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  (void)arg;
  poke_some();
}

/* On its own socket a callback need not report what it does. */
static void on_readable(subject *s) {
  int limit = world.quiet ? 1000 : dice(4);
  while (limit > 0 && receive_directly(s)) {
    limit--;
    if (world.quiet || dice(2)) {
      (void)send_directly(s); /* a reply, if it is REP */
    }
  }
}

static void on_writable(subject *s) {
  int limit = world.quiet ? s->quota : dice(3);
  while (limit > 0 && s->quota > 0 && send_directly(s)) {
    limit--;
    s->quota--;
  }
  if (!can_send(s)) {
    s->quota = 0;
  }
  if (s->quota == 0) {
    CHECK_INT(zl_socket_update(s->watch, ZL_READ), 0);
  }
}

static void on_socket(zl_socket *watch, int events, void *arg) {
  subject *s = arg;
  CHECK(watch == s->watch);
  CHECK(!(events & ZL_ERROR));
  if (events & ZL_READ) {
    on_readable(s);
  }
  if (events & ZL_WRITE) {
    on_writable(s);
  }
  poke_some();
}

static void on_recv(zl_stream *stream, void *arg) {
  subject *s = arg;
  zl_incoming message;
  int limit = world.quiet ? 1000 : dice(4);
  while (limit > 0 && zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    limit--;
    world.received++;
    s->owes = s->type == ZMQ_REP;
    if (s->owes && (world.quiet || dice(2))) {
      send_by_stream(s);
    }
  }
  poke_some();
}

static void on_sent(zl_stream *stream, uint64_t token, int status, void *arg) {
  (void)stream;
  (void)arg;
  CHECK_INT(token, 1);
  CHECK_INT(status, 0);
  poke_some();
}

static void on_error(zl_stream *stream, int rc, void *arg) {
  (void)stream;
  (void)arg;
  test_fail(__FILE__, __LINE__, zl_errname(rc));
}

/* ---- the oracle --------------------------------------------------------- */

static int interest(const subject *s) {
  if (s->stream) {
    bool receives = can_receive(s) && !s->paused;
    return (receives ? ZMQ_POLLIN : 0) |
           (zl_stream_queued(s->stream) > 0 ? ZMQ_POLLOUT : 0);
  }
  return ZMQ_POLLIN | (s->quota > 0 ? ZMQ_POLLOUT : 0);
}

/* Is a signal pending for the socket that the loop has not seen or ignores?
 * Does not consume it. */
static bool signalled(const subject *s) {
  struct pollfd fd = {.events = POLLIN};
  size_t size = sizeof fd.fd;
  CHECK_INT(zmq_getsockopt(s->socket, ZMQ_FD, &fd.fd, &size), 0);
  return poll(&fd, 1, 0) > 0;
}

static bool signal_pending(void) {
  for (int i = 0; i < SUBJECTS; i++) {
    if (signalled(&world.subjects[i])) {
      return true;
    }
  }
  return false;
}

/* Runs the loop until it has nothing to do. A loop that ignores a signal for
 * good comes to rest too, and the oracle finds that. Returns whether there is
 * no signal. */
static bool come_to_rest(void) {
  int idle = 0;
  for (int tries = 0; tries < 50 && (idle < IDLE_STEPS || signal_pending());
       idle++) {
    int rc = zl_loop_step(world.loop, 2 * MILLISECONDS, NULL);
    CHECK(rc >= 0);
    if (rc > 0) {
      idle = -1;
    } else {
      tries++;
    }
  }
  return !signal_pending();
}

static int64_t real_time(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * SECONDS + now.tv_nsec;
}

/* ---- the oracle's witness -----------------------------------------------
 *
 * On a busy machine libzmq's thread may get the processor when the oracle
 * returns from one of its own system calls, and deliver what was on its way
 * before the silence. The oracle's check then consumes the signal that came
 * with it: late, not missed. So all descriptors are also in a set of the
 * oracle's own, which reports each signal even if it was consumed.
 */

#ifdef __linux__
static void call_witness(void) {
  world.witness = epoll_create1(EPOLL_CLOEXEC);
  CHECK(world.witness >= 0);
  for (int i = 0; i < SUBJECTS; i++) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    int fd;
    size_t size = sizeof fd;
    event.data.u32 = (uint32_t)i;
    CHECK_INT(zmq_getsockopt(world.subjects[i].socket, ZMQ_FD, &fd, &size), 0);
    CHECK_INT(epoll_ctl(world.witness, EPOLL_CTL_ADD, fd, &event), 0);
  }
}

/* Has the subject had a signal since the last call? */
static bool has_come(int number) {
  struct epoll_event events[SUBJECTS];
  int count;
  bool came = false;
  do {
    count = epoll_wait(world.witness, events, SUBJECTS, 0);
  } while (count < 0 && errno == EINTR);
  for (int i = 0; i < count; i++) {
    came = came || events[i].data.u32 == (uint32_t)number;
  }
  return came;
}

static void dismiss_witness(void) {
  (void)close(world.witness);
}
#else
static void call_witness(void) {
}

static bool has_come(int number) {
  (void)number;
  return false;
}

static void dismiss_witness(void) {
}
#endif

/* What the socket is ready for. Messages that arrive during the check do not
 * count: they come with a signal after the silence, or in a long moment. */
static int ready_at_rest(int i, bool silence) {
  subject *s = &world.subjects[i];
  int64_t start = real_time();
  (void)has_come(i);
  bool late = silence && signalled(s);
  int events = ask(s) & interest(s);
  late = late || (silence && has_come(i));
  return late || real_time() - start > LONG_MOMENT ? 0 : events;
}

static void look_for_missed(bool silence) {
  for (int i = 0; i < SUBJECTS; i++) {
    subject *s = &world.subjects[i];
    int events = ready_at_rest(i, silence);
    if (!events) {
      tell(s, false);
      continue;
    }
    if (world.missed == 0 && !world.mode.untold && !world.mode.untouched) {
      printf("%s over %s: %s missed in round %ld\n", type_name(s->type),
             transport_name(s->kind),
             events & ZMQ_POLLIN ? "a message" : "room for one", world.rounds);
    }
    world.missed++;
    if (s->stream) {
      zl_stream_touch(s->stream);
    } else {
      zl_socket_touch(s->watch);
    }
  }
}

/* ---- rounds ------------------------------------------------------------- */

static void one_round(void) {
  int64_t until = real_time() + (1 + dice(5)) * MILLISECONDS;
  world.quiet = false;
  CHECK_INT(zl_timer_start(world.poker, 0, MILLISECONDS / 4), 0);
  park_peers(false);
  while (real_time() < until) {
    CHECK(zl_loop_step(world.loop, MILLISECONDS, NULL) >= 0);
  }
  park_peers(true);
  zl_timer_cancel(world.poker);
  world.quiet = true;
  bool silence = come_to_rest();
  verify_loop(world.loop);
  look_for_missed(silence);
  world.rounds++;
}

static void make_socket(int type, void **socket) {
  *socket = new_socket(world.context, type);
  set_option(*socket, ZMQ_SNDHWM, HIGH_WATER);
  set_option(*socket, ZMQ_RCVHWM, HIGH_WATER);
  set_option(*socket, ZMQ_SNDBUF, KERNEL_BUFFER);
  set_option(*socket, ZMQ_RCVBUF, KERNEL_BUFFER);
  if (type == ZMQ_SUB) {
    CHECK_INT(zmq_setsockopt(*socket, ZMQ_SUBSCRIBE, "", 0), 0);
  }
}

static void watch_subject(subject *s) {
  if (!world.mode.streams) {
    CHECK_INT(zl_socket_new(world.loop, s->socket, ZL_READ, world.mode.flags,
                            on_socket, s, &s->watch),
              0);
    return;
  }
  CHECK_INT(zl_stream_new(world.loop, s->socket, world.mode.flags, &s->stream),
            0);
  zl_stream_on_sent(s->stream, on_sent, s);
  zl_stream_on_error(s->stream, on_error, s);
  if (can_receive(s)) {
    zl_stream_on_recv(s->stream, on_recv, s);
  }
}

static void make_subject(int i) {
  subject *s = &world.subjects[i];
  peer *p = &world.peers[i];
  const couple *c = &couples[i % COUPLES];
  s->type = c->subject;
  s->kind = (transport)(i / COUPLES % TRANSPORTS);
  p->type = c->peer;
  p->delimiter = s->type == ZMQ_REP;
  make_socket(s->type, &s->socket);
  make_socket(p->type, &p->socket);
  if (i % 2) {
    join_sockets(s->kind, s->socket, p->socket);
  } else {
    join_sockets(s->kind, p->socket, s->socket);
  }
  watch_subject(s);
}

static void make_world(const mode *m) {
  zl_config config = {
      .size = sizeof config, .backend = m->backend, .flags = m->config};
  memset(&world, 0, sizeof world);
  world.mode = *m;
  world.seed = 4711;
  world.park = true;
  world.context = zmq_ctx_new();
  CHECK_INT(zl_loop_new(&config, &world.loop), 0);
  CHECK_INT(zl_timer_new(world.loop, on_poker, NULL, &world.poker), 0);
  for (int i = 0; i < SUBJECTS; i++) {
    make_subject(i);
  }
  call_witness();
}

static void end_world(void) {
  dismiss_witness();
  for (int i = 0; i < SUBJECTS; i++) {
    zl_socket_close(world.subjects[i].watch);
    zl_stream_close(world.subjects[i].stream);
    close_socket(world.subjects[i].socket);
    close_socket(world.peers[i].socket);
  }
  close_loop(world.loop);
  end_context(world.context);
}

/* ---- signals ------------------------------------------------------------ */

static volatile sig_atomic_t signals;
static int64_t storm_ends; /* written while there is none */

/* The timer of the watchdog is the storm's, so the storm keeps watch. */
static void on_alarm(int sig) {
  (void)sig;
  signals = signals + 1;
  if (real_time() > storm_ends) {
    _exit(1);
  }
}

static void set_storm(bool on) {
  struct sigaction action;
  struct itimerval timer = {{0, 0}, {0, 0}};
  if (on) {
    (void)alarm(0);
    signals = 0;
    storm_ends = real_time() + WATCHDOG_SECONDS * SECONDS;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm; /* and no SA_RESTART */
    (void)sigemptyset(&action.sa_mask);
    CHECK_INT(sigaction(SIGALRM, &action, NULL), 0);
    timer.it_value.tv_usec = 200;
    timer.it_interval.tv_usec = 200;
  }
  CHECK_INT(setitimer(ITIMER_REAL, &timer, NULL), 0);
  if (!on) {
    test_watchdog(WATCHDOG_SECONDS);
  }
}

static void start_threads(pthread_t *threads, int *numbers) {
  sigset_t all;
  sigset_t old;
  (void)sigfillset(&all);
  CHECK_INT(pthread_sigmask(SIG_SETMASK, &all, &old), 0);
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    CHECK_INT(pthread_create(&threads[i], NULL, operate_peers, &numbers[i]), 0);
  }
  CHECK_INT(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
}

static void end_threads(const pthread_t *threads) {
  CHECK_INT(pthread_mutex_lock(&gate), 0);
  world.quit = true;
  CHECK_INT(pthread_cond_broadcast(&gate_moved), 0);
  CHECK_INT(pthread_mutex_unlock(&gate), 0);
  for (int i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
}

/* ---- modes -------------------------------------------------------------- */

static double stress_seconds = 1;

/* Rounds until the time is over, or for a control until something is missed. */
static void run_rounds(const mode *m, double seconds) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  bool control = m->untold || m->untouched;
  test_watchdog((unsigned)seconds + WATCHDOG_SECONDS);
  make_world(m);
  start_threads(threads, numbers);
  int64_t until = real_time() + (int64_t)(seconds * 1e9);
  if (m->storm) {
    set_storm(true);
  }
  while (real_time() < until && !(control && world.missed > 0)) {
    one_round();
  }
  if (m->storm) {
    set_storm(false);
    CHECK(signals > 100);
  }
  end_threads(threads);
  end_world();
  printf("%ld rounds, %ld calls, %ld received, %ld sent, %ld missed\n",
         world.rounds, world.calls, world.received, world.sent, world.missed);
  test_watchdog(WATCHDOG_SECONDS);
}

static void stress(const mode *m) {
  run_rounds(m, stress_seconds);
  CHECK(world.rounds > 0 && world.received > 0 && world.sent > 0);
  CHECK_INT(world.missed, 0);
}

static void control(const mode *m) {
  run_rounds(m, CONTROL_SECONDS);
  CHECK(world.missed > 0);
}

static void test_readiness_epoll(void) {
  stress(&(mode){.backend = ZL_BACKEND_DEFAULT});
}

static void test_readiness_epoll_storm(void) {
  stress(&(mode){.backend = ZL_BACKEND_DEFAULT, .storm = true});
}

static void test_readiness_touch(void) {
  stress(&(mode){.config = ZL_CONFIG_TOUCH});
}

static void test_readiness_touch_storm(void) {
  stress(&(mode){.config = ZL_CONFIG_TOUCH, .storm = true});
}

static void test_readiness_poll(void) {
  stress(&(mode){.backend = ZL_BACKEND_POLL});
}

static void test_readiness_poll_storm(void) {
  stress(&(mode){.backend = ZL_BACKEND_POLL, .storm = true});
}

static void test_readiness_foreign(void) {
  stress(&(mode){.flags = ZL_FOREIGN});
}

static void test_readiness_foreign_storm(void) {
  stress(&(mode){.flags = ZL_FOREIGN, .storm = true});
}

static void test_readiness_foreign_poll(void) {
  stress(&(mode){.flags = ZL_FOREIGN, .backend = ZL_BACKEND_POLL});
}

static void test_readiness_foreign_streams(void) {
  stress(&(mode){.flags = ZL_FOREIGN, .streams = true});
}

static void test_readiness_foreign_streams_poll(void) {
  stress(&(mode){
      .flags = ZL_FOREIGN, .streams = true, .backend = ZL_BACKEND_POLL});
}

static void test_readiness_streams(void) {
  stress(&(mode){.streams = true});
}

static void test_readiness_streams_storm(void) {
  stress(&(mode){.streams = true, .storm = true});
}

static void test_readiness_streams_poll(void) {
  stress(&(mode){.streams = true, .backend = ZL_BACKEND_POLL});
}

static void test_readiness_streams_poll_storm(void) {
  stress(&(mode){.streams = true, .backend = ZL_BACKEND_POLL, .storm = true});
}

static bool loop_touches(void) {
  zl_loop *loop = new_loop();
  bool touches = loop->touch;
  close_loop(loop);
  return touches;
}

static void test_readiness_control_untold(void) {
  control(&(mode){.untold = true});
}

/* A loop that looks after every operation finds those too. */
static void test_readiness_control_untouched(void) {
  if (!loop_touches()) {
    control(&(mode){.untouched = true});
  }
}

static const zl_test tests[] = {
    TEST(test_readiness_epoll),
    TEST(test_readiness_epoll_storm),
    TEST(test_readiness_touch),
    TEST(test_readiness_touch_storm),
    TEST(test_readiness_poll),
    TEST(test_readiness_poll_storm),
    TEST(test_readiness_foreign),
    TEST(test_readiness_foreign_storm),
    TEST(test_readiness_foreign_poll),
    TEST(test_readiness_foreign_streams),
    TEST(test_readiness_foreign_streams_poll),
    TEST(test_readiness_streams),
    TEST(test_readiness_streams_storm),
    TEST(test_readiness_streams_poll),
    TEST(test_readiness_streams_poll_storm),
    TEST(test_readiness_control_untold),
    TEST(test_readiness_control_untouched),
};

int main(int argc, char **argv) {
  static const char option[] = "seconds=";
  const char *seconds = getenv("ZL_STRESS_SECONDS");
  if (argc > 1 && !strncmp(argv[1], option, sizeof option - 1)) {
    seconds = argv[1] + sizeof option - 1;
    argv++;
    argc--;
  }
  if (seconds) {
    stress_seconds = strtod(seconds, NULL);
  }
  return test_main(argc, argv, tests, sizeof tests / sizeof *tests);
}
