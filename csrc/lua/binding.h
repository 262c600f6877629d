/* binding.h - what the files of the binding share.
 * SPDX-License-Identifier: MIT
 *
 * Objects. A full userdata whose struct begins with a pointer to its class.
 * Type checks compare that pointer, not metatables, since loops and streams
 * have one of their own each: its __index is the object's table of fields,
 * behind which stands the class. Lua values that an object needs are in its
 * uservalue, a table, so that the collector sees through cycles.
 *
 * Handles. Handlers and streams have a core handle while they are of use to the
 * loop; `core` NULL means closed or at rest. The loop knows all that have one,
 * to take it from them when it is closed first. Timers have theirs inside. The
 * loop keeps the active ones of all three alive (zlua_anchor).
 *
 * Calls. Every call from the core into Lua is protected. Its slots (enum
 * zlua_slot) are on the stack of the C function that entered the core, so that
 * making the call allocates nothing.
 */
#ifndef ZLUA_BINDING_H
#define ZLUA_BINDING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "compat.h"
#include "zmqloop.h"

typedef struct zlua_class {
  const char *name; /* for messages: "stream" */
  size_t size;
} zlua_class;

extern const zlua_class zlua_class_context;
extern const zlua_class zlua_class_socket;
extern const zlua_class zlua_class_loop;
extern const zlua_class zlua_class_timer;
extern const zlua_class zlua_class_handler;
extern const zlua_class zlua_class_stream;
extern const zlua_class zlua_class_frame;
extern const zlua_class zlua_class_tracker;

typedef struct zlua_loop zlua_loop;

/* ---- objects: object.c ----------------------------------------------------
 */

void *zlua_new_object(lua_State *L, const zlua_class *class);
void zlua_new_class(lua_State *L, const zlua_class *class,
                    const luaL_Reg *methods, const luaL_Reg *metamethods);
void zlua_set_metatable(lua_State *L, const zlua_class *class);
void zlua_set_own_metatable(lua_State *L, const zlua_class *class,
                            int class_index);
void zlua_set_metatable_of(lua_State *L, const zlua_class *class,
                           int class_index);
void *zlua_test_object(lua_State *L, int index, const zlua_class *class);
int zlua_bad_self(lua_State *L, int index, const char *method,
                  const char *class);
void *zlua_no_self(lua_State *L, const zlua_class *class, const char *method);

/* The object that a method was called with. */
static inline void *zlua_check_self(lua_State *L, const zlua_class *class,
                                    const char *method) {
  void *object = zlua_test_object(L, 1, class);
  return object ? object : zlua_no_self(L, class, method);
}

/* ---- arguments and results: argument.c ------------------------------------
 */

int zlua_error(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void zlua_warn(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int zlua_argument_error(lua_State *L, const char *method, int argument,
                        const char *what);
int zlua_type_error(lua_State *L, const char *method, int argument, int index,
                    const char *expected);
bool zlua_is_callable(lua_State *L, int index);
void zlua_check_callable(lua_State *L, const char *method, int argument,
                         int index);
const char *zlua_nearest(const char *name, const char *const *names);
void zlua_check_given(lua_State *L, const char *method);
void zlua_check_options(lua_State *L, const char *method, int argument,
                        int index, const char *const *names);
int64_t zlua_check_integer(lua_State *L, const char *method, int argument,
                           int index, int64_t minimum, int64_t maximum);
int64_t zlua_nanoseconds(lua_Number seconds);
int64_t zlua_check_seconds(lua_State *L, const char *method, int argument,
                           int index);
int zlua_check_events(lua_State *L, const char *method, int argument,
                      int index);
int zlua_fail(lua_State *L, int rc);
int zlua_fail_at(lua_State *L, int rc, const char *where);
int zlua_raise(lua_State *L, int rc);

bool zlua_is_ours(lua_State *L, const lua_Debug *at);

/* text.c */
void zlua_push_printable(lua_State *L, int index);

/* ---- traces of errors: trace.c --------------------------------------------
 */

bool zlua_is_caught(lua_State *L);
void zlua_note_trace(lua_State *L, int error_index);
bool zlua_push_trace(lua_State *L, int error_index, int co_index);
int zlua_raise_traced(lua_State *L);

/* ---- handles --------------------------------------------------------------
 */

/* What handlers and streams begin with. */
typedef struct zlua_handle {
  const zlua_class *class;
  zlua_loop *loop;              /* NULL: it has no core handle */
  struct zlua_handle *previous; /* among those of the loop */
  struct zlua_handle *next;
  int anchor; /* its place in the loop's table of active handles; 0: none */
} zlua_handle;

int zlua_keep(lua_State *L, zlua_loop *loop, int active_index, int index);
void zlua_let_go(lua_State *L, zlua_loop *loop, int active_index, int anchor);
void zlua_link(zlua_loop *loop, zlua_handle *handle);
void zlua_unlink(zlua_handle *handle);
void zlua_anchor(lua_State *L, zlua_handle *handle, int index);
void zlua_unanchor(lua_State *L, zlua_handle *handle, int active_index);
void zlua_handler_detach(zlua_handle *handle);
void zlua_stream_detach(zlua_handle *handle);
void zlua_timer_push_callback(lua_State *L, int index);

/* ---- loop: loop.c ---------------------------------------------------------
 */

/* The uservalue of a loop. */
enum {
  ZLUA_LOOP_ACTIVE = 1, /* active handles, by anchor; [0]: the loop */
  ZLUA_LOOP_CALLBACKS,  /* packed ones, a queue from first to last */
  ZLUA_LOOP_HANDLERS,   /* descriptor number and registered object -> handler */
  ZLUA_LOOP_SIGNALS,    /* number -> handler of the signal */
  ZLUA_LOOP_CLOCK,      /* the coroutine of the user's clock, if there is one */
  ZLUA_LOOP_STATE       /* what calls leave: enum zlua_left */
};

/* Fields of the table at ZLUA_LOOP_STATE. All have places from the start, since
 * they are set where nothing may raise. */
enum {
  ZLUA_LEFT_CALLBACK = 1, /* the callback being called */
  ZLUA_LEFT_ERROR,        /* to be raised by the method that entered the core */
  ZLUA_LEFT_RUNNER,       /* a coroutine for calls that no entry has, or nil */
  ZLUA_LEFT_TRACEBACK,    /* of the error that callback_error() raises */
  ZLUA_LEFT_ON_ERROR,     /* what the user gave to on_error() */
  ZLUA_LEFT_CLOSED,       /* queued close callbacks: stream.c */
  ZLUA_LEFT_BLOCKED,      /* what is called when the loop blocks */
  ZLUA_LEFT_TRACE,        /* of ZLUA_LEFT_ERROR: text, or nil */
  ZLUA_LEFT_LAST = ZLUA_LEFT_TRACE
};

/* How a block is reported: blocked.c. Also touched in the handler of a signal,
 * on the same thread. */
typedef struct zlua_blocked {
  lua_State *volatile L; /* whose hook is ours and has not run yet, or NULL */
  lua_Hook former;
  int mask; /* of the former hook */
  int count;
  int64_t asked_ns;
  int64_t threshold_ns;
} zlua_blocked;

/* The innermost call of a Lua state into which a core has called. The first
 * field is what jit.lua reads. */
typedef struct zlua_calls {
  double serial;     /* of the call; 0: there is none */
  double last;       /* serial given */
  lua_State *runner; /* the coroutine it runs in */
  zlua_loop *loop;
  int slot;                       /* zlua_slot */
  int depth;                      /* how many calls are outside, and this one */
  void *handle;                   /* what its function was given */
  const struct zlua_calls *outer; /* the call inside of which it was made */
} zlua_calls;

/* Whether the Lua state is being closed: loop.c. */
typedef struct zlua_ending {
  const void *watch; /* the latest object that is finalized before all loops */
  bool has_begun;
  bool told; /* a warning about its loops was written */
} zlua_ending;

struct zlua_loop {
  const zlua_class *class;
  zl_loop *core;       /* NULL: closed, or not yet open */
  zlua_calls *calls;   /* of the state */
  zlua_ending *ending; /* the same */
  lua_State
      *runner;  /* in the slot, idle; NULL: it is at work, or there is none */
  lua_State *L; /* the state that has entered the core; NULL: none has */
  lua_State *volatile runs; /* L, or the coroutine that it has resumed */
  int slots;                /* where on its stack the slots begin */
  bool failed;              /* ZLUA_LEFT_ERROR is to be raised */
  bool raises;              /* on_error("raise") */
  int64_t failed_ns;        /* when a callback raised an error last */
  bool sigint_handled;      /* SIGINT had a handler when the loop was entered */
  char slowest[LUA_IDSIZE + 16]; /* where the slowest callback begins */
  pid_t pid;                     /* of the process that made it */
  bool left_waiting; /* a handler or stream was finalized while it waited */
  bool left_deaf;    /* a SUB without subscriptions among them */
  int serial;        /* its key in the table of loops: zlua_push_loop() */
  int anchors;       /* in use */
  int last_anchor;   /* the last new one; see zlua_keep() */
  bool scattered;    /* some in use are after the last new one */
  int free_anchor;   /* the first free one; its place has the next; or 0 */
  unsigned changes;  /* calls made and receive callbacks replaced, so far */
  zlua_handle *handles;
  zlua_blocked blocked;
  lua_State *clock; /* whose function tells the time, or NULL */
  bool reads_clock; /* it is at work: its stack is not ours */
  int64_t clock_ns; /* what it told last, or when the loop was closed */
  bool lacks_queue; /* it has none after a burst */
  lua_Integer first_callback; /* places in ZLUA_LOOP_CALLBACKS */
  lua_Integer next_callback;
  unsigned owed;    /* calls of callbacks that the core is not going to make */
  int first_closed; /* places in ZLUA_LEFT_CLOSED; last < first: it is empty */
  int last_closed;
};

zlua_loop *zlua_no_loop(lua_State *L, int index, const char *method,
                        int argument);

/* The open loop at index, an argument of the method; 0: its self. */
static inline zlua_loop *zlua_check_loop(lua_State *L, int index,
                                         const char *method, int argument) {
  zlua_loop *loop = zlua_test_object(L, index, &zlua_class_loop);
  return loop && loop->core ? loop : zlua_no_loop(L, index, method, argument);
}

void zlua_check_users_clock(lua_State *L, const zlua_loop *loop);

/* To be called after the clock may have been read: what comes next may raise.
 * Raises what a clock of the user's has raised, unless a run is there that
 * will. */
static inline void zlua_check_clock(lua_State *L, const zlua_loop *loop) {
  if (loop->clock) {
    zlua_check_users_clock(L, loop);
  }
}

/* The time of an open loop; what comes after it may raise. */
static inline int64_t zlua_now_ns(lua_State *L, const zlua_loop *loop) {
  int64_t now = zl_loop_time_ns(loop->core);
  zlua_check_clock(L, loop);
  return now;
}

void zlua_push_actives(lua_State *L);
void zlua_push_loop(lua_State *L, int serial);
void zlua_push_active(lua_State *L, int loop_index);

/* ---- callbacks: callback.c --------------------------------------------------
 */

void zlua_pack(lua_State *L, int first, int count);
int zlua_unpack(lua_State *L);

/* ---- protected calls: call.c -----------------------------------------------
 */

/* On the stack of the C function that has entered the core. */
typedef enum zlua_slot {
  ZLUA_SLOT_LOOP,
  ZLUA_SLOT_ACTIVE,
  ZLUA_SLOT_STATE,
  ZLUA_SLOT_RUNNER, /* the coroutine of this entry's calls, or nil */
  ZLUA_SLOT_CALL_CALLBACK,
  ZLUA_SLOT_CALL_TIMER,
  ZLUA_SLOT_CALL_HANDLER,
  ZLUA_SLOT_CALL_SIGNAL,
  ZLUA_SLOT_CALL_RECV,
  ZLUA_SLOT_CALL_SENT,
  ZLUA_SLOT_CALL_CLOSED,
  ZLUA_SLOT_CALL_NOTICE,  /* on_drain, on_error of a stream */
  ZLUA_SLOT_CALL_FINISH,  /* closes a stream */
  ZLUA_SLOT_CALL_FOREIGN, /* a method of another library's socket */
  ZLUA_SLOT_CALL_ERROR,   /* hands an error to the user */
  ZLUA_SLOT_KEEP_TRACE,   /* keeps the trace of one that is to be raised */
  ZLUA_SLOT_NEW_RUNNER,   /* makes a coroutine for calls */
  ZLUA_SLOT_NOTHING,      /* gives the host's hooks an occasion */
  ZLUA_SLOT_CALL_NAME,    /* "__call" */
  ZLUA_SLOT_INTERRUPTED,  /* the text of an interrupt */
  ZLUA_SLOTS
} zlua_slot;

/* An entry into the core; they nest. */
typedef struct zlua_entry {
  lua_State *L;
  lua_State *runs;
  lua_State *runner;
  unsigned changes;
  int slots;
} zlua_entry;

void zlua_check_depth(lua_State *L, const zlua_loop *loop);
void zlua_enter(lua_State *L, zlua_loop *loop, int loop_index,
                zlua_entry *before);
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before);
bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle);
bool zlua_may_repeat(const zlua_loop *loop);
void zlua_on_slowest(zl_loop *core, int64_t took_ns, void *arg);
void zlua_raise_later(zlua_loop *loop);
void zlua_calling(lua_State *L, int state_index, int callback_index);
int zlua_on_interrupt(zl_loop *core, void *arg);
void zlua_let_hooks_run(lua_State *L);
void zlua_become_running(lua_State *L);
void zlua_sigint_changed(zlua_loop *loop);
void zlua_push_traceback(lua_State *L);
void zlua_make_calls(lua_State *L);
zlua_calls *zlua_calls_of(lua_State *L);

int zlua_call_callback(lua_State *L, void *handle);
int zlua_call_timer(lua_State *L, void *taken);
int zlua_call_handler(lua_State *L, void *handle);
int zlua_call_signal(lua_State *L, void *handle);
int zlua_call_recv(lua_State *L, void *handle);
int zlua_call_sent(lua_State *L, void *handle);
int zlua_call_closed(lua_State *L, void *handle);
int zlua_call_notice(lua_State *L, void *handle);
int zlua_call_finish(lua_State *L);
int zlua_call_foreign(lua_State *L);

/* blocked.c */
void zlua_move_hook(zlua_loop *loop);

/* From now on another coroutine, or none, runs the callbacks of the loop; the
 * former one may be collected. A hook that has not run yet goes along. */
static inline void zlua_runs_on(zlua_loop *loop, lua_State *L) {
  lua_State *former = loop->runs;
  loop->runs = L;
  if (loop->blocked.L && loop->blocked.L == former && L != former) {
    zlua_move_hook(loop);
  }
}

/* signal.c */
int zlua_check_signal(lua_State *L, const char *method, int argument,
                      int index);

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZLUA_DGRAM = ZMQ_DGRAM };
#else
enum { ZLUA_DGRAM = -1 };
#endif

/* ---- contexts and sockets ---------------------------------------------------
 */

typedef struct zlua_socket zlua_socket;
typedef struct zlua_stream zlua_stream;
typedef struct zlua_message zlua_message;
typedef struct zlua_handler zlua_handler;
typedef struct zlua_exit zlua_exit;

typedef struct zlua_name zlua_name;

typedef struct zlua_context {
  const zlua_class *class;
  struct zlua_context *home; /* the first of this state for the same context
                                of libzmq, which keeps the records; kept */
  void *zmq;                 /* NULL: terminated */
  zlua_exit *exit;           /* who ends it when it is collected */
  zlua_socket *sockets;      /* open ones */
  bool borrowed;             /* someone else terminates it */
  bool started;              /* libzmq has its threads */
  int guests;                /* of a home: open sockets of its other contexts */
  zlua_name *names;          /* of a home: of inproc, bound or waited for */
  void *stand_in; /* of a home: binds at the end what is waited for, or NULL */
  bool lingers;   /* some socket was closed with messages unsent, perhaps */
  int sched_policy;          /* of libzmq's threads; -1: not set */
  int priority;              /* the same */
  pid_t pid;                 /* of the process that made it */
  const volatile char *here; /* 0 in a forked process, where the system tells */
} zlua_context;

/* The uservalue of a context. */
enum {
  ZLUA_CONTEXT_SOCKETS = 1, /* address -> socket */
  ZLUA_CONTEXT_DEFAULTS,    /* options of new sockets, by place, or nil */
  ZLUA_CONTEXT_HOME         /* that of another context, or nil */
};

/* Frames that libzmq has given and Lua has not yet got: an error in between
 * loses nothing. */
typedef struct zlua_inbox {
  zmq_msg_t *frames;
  int first;
  int count;
  int capacity;
  bool pushing; /* frames are becoming Lua's: closing must wait */
  bool more;    /* the frame that Lua got last is not the last of its message */
  bool single;  /* the socket conflates: messages have one frame */
  bool broken;  /* one had more: libzmq would abort if asked for the rest */
} zlua_inbox;

/* Frames that libzmq is to get. */
typedef struct zlua_outbox {
  zmq_msg_t *frames;
  size_t count;
  size_t capacity;
} zlua_outbox;

struct zlua_socket {
  const zlua_class *class;
  void *zmq; /* NULL: closed, or not yet open */
  int type;
  zlua_context *context;     /* kept by the uservalue; NULL: it is borrowed */
  const volatile char *here; /* its context's */
  zlua_socket *previous;     /* among those of the context */
  zlua_socket *next;
  zlua_stream *stream;    /* on it, or NULL */
  zlua_handler *handler;  /* registered for it, or NULL */
  zlua_socket *monitor;   /* gets its events, or NULL */
  zlua_socket *monitored; /* whose events it gets, or NULL */
  bool of_loop;           /* a monitor that only its stream knows of */
  bool uses_norm;         /* which does not carry long frames */
  bool probes;            /* new connections with an empty message */
  bool greets;            /* new connections, with a message */
  bool wss_key;           /* it has one, and ... */
  bool wss_cert;          /* ... a certificate, of what wss listens with */
  bool raw;               /* a ROUTER that was made so */
  bool sends;  /* the last frame sent is not the last of its message */
  bool deaf;   /* a SUB that has never had a subscription */
  bool looked; /* since the last receive libzmq was asked for its readiness */
  zlua_inbox inbox;
  zlua_outbox outbox;
  zlua_outbox begun; /* of a message, whose last part is still to come */
};

extern const char zlua_here; /* 1 */

zlua_context *zlua_check_context(lua_State *L, const char *method);
zlua_socket *zlua_check_socket(lua_State *L, int index, const char *method,
                               int argument);
void zlua_socket_changed(zlua_socket *socket);
void zlua_socket_used(const zlua_socket *socket);
void zlua_socket_touch(const zlua_socket *socket);
int zlua_socket_check_process(const zlua_socket *socket);
int zlua_socket_check_message(const zlua_socket *socket,
                              const zlua_message *message);
void zlua_socket_set_user(lua_State *L, int index, int user_index);
void zlua_socket_set_monitor(lua_State *L, int index, int monitor_index);
void zlua_push_context(lua_State *L, int index);
void zlua_push_sockets(lua_State *L, int context_index);
void zlua_push_socket(lua_State *L, int index, const zlua_socket *socket);
void zlua_socket_close(lua_State *L, int index, const int *linger);
void zlua_socket_shut(zlua_socket *socket, const int *linger);
void zlua_socket_tell_closed(lua_State *L, int index);
void zlua_socket_drop(zlua_socket *socket);
int zlua_socket_set(lua_State *L);
int zlua_socket_get(lua_State *L);
int zlua_context_set(lua_State *L);
int zlua_context_get(lua_State *L);
void zlua_apply_defaults(lua_State *L, int index, zlua_socket *socket);
int zlua_context_check(const zlua_context *context);
int zlua_context_start(zlua_context *context);
int zlua_address_start(const zlua_context *context);
bool zlua_is_host_and_port(const char *text, size_t length);
bool zlua_address_has_port(const char *address);
int zlua_address_check(const zlua_socket *socket, const char *address,
                       bool binds);
const char *zlua_type_name(int type);
void zlua_push_options(lua_State *L);
void zlua_option_constants(lua_State *L);

/* inproc.c */
int zlua_inproc_begin(const zlua_socket *socket, const char *address,
                      bool binds, zlua_name **out);
void zlua_inproc_began(zlua_name *name, bool done);
void zlua_inproc_ended(const zlua_socket *socket, const char *address);
void zlua_inproc_forget(const zlua_socket *socket);
void zlua_inproc_close(zlua_context *context);

/* monitor.c */
void zlua_monitor_stop(zlua_socket *socket);
void zlua_monitor_close(zlua_socket *socket);
int zlua_socket_disable_monitor(lua_State *L);

/* poller.c */
int64_t zlua_monotonic_ns(void);
int64_t zlua_deadline_ns(int64_t started_ns, int64_t milliseconds);
int64_t zlua_milliseconds_left(int64_t deadline_ns, int64_t most);
int zlua_poll_until(lua_State *L, zmq_pollitem_t *items, int count,
                    int64_t deadline_ns);
int zlua_poll(lua_State *L, zmq_pollitem_t *items, int count, int64_t timeout);
int64_t zlua_check_timeout(lua_State *L, const char *method, int argument,
                           int index);
short zlua_check_poll_events(lua_State *L, const char *method, int argument,
                             int index);

/* exit.c */
void zlua_open_exit(lua_State *L);
zlua_exit *zlua_exit_of(lua_State *L);
void zlua_exit_hold(zlua_exit *exit);
void zlua_exit_release(zlua_exit *exit);
void zlua_exit_retire(zlua_exit *exit, void *zmq_context, bool lingers);
void zlua_stay_loaded(void);

/* ---- frames ---------------------------------------------------------------
 */

typedef struct zlua_payload zlua_payload;
typedef struct zlua_tracking zlua_tracking;

typedef struct zlua_frame {
  const zlua_class *class;
  zlua_payload *payload; /* the state's, which counts this frame */
  bool open;
  zmq_msg_t message; /* if open */
} zlua_frame;

/* What the arguments of a send are. */
struct zlua_message {
  size_t count; /* parts */
  size_t bytes;
  size_t longest;  /* bytes of a part */
  bool has_frames; /* not only strings */
};

/* How a message is to be sent. */
typedef struct zlua_send_options {
  int flags;
  bool track;
  bool early;              /* a stream's: a reply may wait for its request */
  zlua_tracking *tracking; /* NULL: nobody wants to know */
  uint32_t routing_id;     /* 0: none */
  const char *group;       /* NULL: none */
} zlua_send_options;

/* Was this built with the drafts of libzmq's API? */
extern const bool zlua_has_drafts;

/* frame.c */
void zlua_frames_announce(lua_State *L, size_t bytes);
zlua_frame *zlua_new_frame(lua_State *L);
void zlua_frame_take(zlua_frame *frame, zmq_msg_t *message);
zlua_frame *zlua_test_frame(lua_State *L, int index);
void zlua_new_frames(lua_State *L, zmq_msg_t *messages, int count,
                     bool as_list);
void zlua_open_frames(lua_State *L, zmq_msg_t *messages, int count,
                      bool as_list);
int zlua_set_routing_id(zmq_msg_t *message, uint32_t routing_id);
int zlua_set_group(zmq_msg_t *message, const char *group);
void zlua_copy_address(zmq_msg_t *to, zmq_msg_t *from);

/* tracker.c */
zlua_tracking *zlua_new_tracker(lua_State *L);
int zlua_tracking_wrap(zlua_tracking *tracking, zmq_msg_t *message);

/* inbox.c */
int zlua_inbox_fill(zlua_inbox *inbox, void *zmq, int flags, bool whole);
bool zlua_inbox_more(const zlua_inbox *inbox, void *zmq);
void zlua_inbox_skip(zlua_inbox *inbox, void *zmq);
void zlua_inbox_push_first(lua_State *L, zlua_inbox *inbox, bool copy);
void zlua_inbox_push_list(lua_State *L, zlua_inbox *inbox, bool copy);
void zlua_inbox_close(zlua_inbox *inbox);

/* outbox.c */
zlua_message zlua_check_part(lua_State *L, const char *method, int index);
bool zlua_has_hole(lua_State *L, int index, size_t count);
zlua_message zlua_check_message(lua_State *L, const char *method, int index);
uint32_t zlua_check_routing_id(lua_State *L, const char *method, int argument,
                               int index);
const char *zlua_check_group(lua_State *L, const char *method, int argument,
                             int index);
int zlua_check_flags(lua_State *L, const char *method, int argument, int index);
bool zlua_check_copy(lua_State *L, const char *method, int argument, int index);
void zlua_read_send_options(lua_State *L, const char *method, int argument,
                            int index, zlua_send_options *options);
bool zlua_needs_message(const zlua_send_options *options);
int zlua_fail_send(lua_State *L, int rc, const zlua_send_options *options);
int zlua_outbox_fill(lua_State *L, zlua_outbox *outbox, int index, size_t count,
                     const zlua_send_options *options);
int zlua_outbox_append(lua_State *L, zlua_outbox *outbox, int index,
                       size_t count, const zlua_send_options *options);
void zlua_outbox_cut(zlua_outbox *outbox, size_t count);
void zlua_outbox_clear(zlua_outbox *outbox);
void zlua_outbox_close(zlua_outbox *outbox);

/* Streams and handlers, as sockets see them. */
void zlua_stream_used(const zlua_stream *stream);
void zlua_stream_touch(const zlua_stream *stream);
int zlua_stream_receive_ahead(const zlua_stream *stream);
void zlua_stream_leave_loop(zlua_handle *handle);
int zlua_stream_suspend(lua_State *L, const void *handle);
void zlua_stream_resume(lua_State *L);
size_t zlua_stream_close(lua_State *L, int index, const int *linger);
void zlua_handler_used(const zlua_handler *handler);
void zlua_handler_touch(const zlua_handler *handler);
void zlua_handler_close(lua_State *L, int index);
int zlua_handler_suspend(lua_State *L, const void *handle);
void zlua_handler_resume(lua_State *L);
int zlua_check_descriptor(lua_State *L, const char *method, int index);

/* ---- opening ------------------------------------------------------------ */

void zlua_open_argument(lua_State *L);
void zlua_open_object(lua_State *L);
void zlua_open_trace(lua_State *L);
void zlua_open_text(lua_State *L);
void zlua_open_context(lua_State *L);
void zlua_open_socket(lua_State *L);
void zlua_open_monitor(lua_State *L);
void zlua_open_poller(lua_State *L);
void zlua_open_proxy(lua_State *L);
void zlua_open_curve(lua_State *L);
void zlua_open_loop(lua_State *L);
void zlua_open_callback(lua_State *L);
void zlua_open_timer(lua_State *L);
void zlua_open_handler(lua_State *L);
void zlua_open_blocked(lua_State *L);
void zlua_open_signal(lua_State *L);
void zlua_open_stream(lua_State *L);
void zlua_open_testing(lua_State *L);
void zlua_open_frame(lua_State *L);
void zlua_open_tracker(lua_State *L);
void zlua_open_source(lua_State *L);

#endif /* ZLUA_BINDING_H */
