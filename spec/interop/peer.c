/* czmq's half of czmq_spec.lua: the same as peer.py, which says what the
 * arguments are and what is told on the control socket.
 * SPDX-License-Identifier: MIT
 */
#include <czmq.h>

enum { TIMEOUT_MS = 120000, SYNC_MS = 5, TEXT = 256, TAIL_BYTES = 50 };

typedef struct peer {
  zsock_t *control;
  zsock_t *socket;
  zframe_t *prefix; /* before each message to or from a DEALER, or NULL */
  int type;
  int count;
  zactor_t *auth;
} peer;

static void leave_with(peer *it, const char *what, int i) {
  zstr_sendf(it->control, "error %s %d", what, i);
  zsock_destroy(&it->control); /* lingers */
  exit(1);
}

static void expect(peer *it, bool good, const char *what, int i) {
  if (!good) {
    leave_with(it, what, i);
  }
}

/* ---- messages ----------------------------------------------------------- */

/* What follows the sequence number. */
static void add_tail(zmsg_t *message, int i) {
  unsigned char k = (unsigned char)(i & 255);
  unsigned char bytes[TAIL_BYTES];
  unsigned char mixed[4] = {'a', 0, 'b', k};
  memset(bytes, k, sizeof bytes);
  zmsg_addmem(message, "", 0);
  zmsg_addmem(message, mixed, sizeof mixed);
  for (int j = 0; j < k % 4; j++) {
    zmsg_addmem(message, bytes, k % 50);
  }
}

static zmsg_t *new_message(int i) {
  zmsg_t *message = zmsg_new();
  zmsg_addstrf(message, "%d", i);
  add_tail(message, i);
  return message;
}

static bool same(zmsg_t *a, zmsg_t *b) {
  bool equal = zmsg_size(a) == zmsg_size(b);
  zframe_t *in_a = zmsg_first(a);
  zframe_t *in_b = zmsg_first(b);
  while (equal && in_a) {
    equal = zframe_eq(in_a, in_b);
    in_a = zmsg_next(a);
    in_b = zmsg_next(b);
  }
  return equal;
}

static void check(peer *it, zmsg_t *message, int i) {
  zmsg_t *expected = new_message(i);
  expect(it, message && same(message, expected), "another message than", i);
  zmsg_destroy(&expected);
}

static zmsg_t *receive(peer *it, int i) {
  zmsg_t *message = zmsg_recv(it->socket);
  expect(it, message != NULL, "nothing came for", i);
  return message;
}

static bool is_sync(zmsg_t *message) {
  return message && zmsg_size(message) == 1 &&
         zframe_streq(zmsg_first(message), "sync");
}

/* ---- roles -------------------------------------------------------------- */

static void send_flood(peer *it) {
  for (int i = 1; i <= it->count; i++) {
    zmsg_t *message = new_message(i);
    if (it->prefix) {
      zframe_t *prefix = zframe_dup(it->prefix);
      zmsg_prepend(message, &prefix);
    }
    expect(it, zmsg_send(&message, it->socket) == 0, "could not send", i);
  }
}

static void receive_flood(peer *it) {
  for (int i = 1; i <= it->count; i++) {
    zmsg_t *message = receive(it, i);
    if (it->prefix) {
      zframe_t *prefix = zmsg_pop(message);
      expect(it, zframe_eq(prefix, it->prefix), "another sender of", i);
      zframe_destroy(&prefix);
    }
    check(it, message, i);
    zmsg_destroy(&message);
  }
}

static void publish(peer *it) {
  zpoller_t *synced = zpoller_new(it->control, NULL);
  while (!zpoller_wait(synced, SYNC_MS)) {
    zstr_send(it->socket, "sync");
  }
  zpoller_destroy(&synced);
  char *word = zstr_recv(it->control);
  expect(it, streq(word, "synced"), "no subscriber", 0);
  zstr_free(&word);
  send_flood(it);
}

static void subscribe(peer *it) {
  zmsg_t *message = receive(it, 0);
  expect(it, is_sync(message), "no sync", 0);
  zstr_send(it->control, "synced");
  while (is_sync(message)) {
    zmsg_destroy(&message);
    message = receive(it, 1);
  }
  check(it, message, 1);
  zmsg_destroy(&message);
  for (int i = 2; i <= it->count; i++) {
    message = receive(it, i);
    check(it, message, i);
    zmsg_destroy(&message);
  }
}

static void request(peer *it) {
  for (int i = 1; i <= it->count; i++) {
    zmsg_t *message = new_message(i);
    expect(it, zmsg_send(&message, it->socket) == 0, "could not ask", i);
    message = receive(it, i);
    check(it, message, i);
    zmsg_destroy(&message);
  }
}

static void reply(peer *it) {
  for (int i = 1; i <= it->count; i++) {
    zmsg_t *message = receive(it, i);
    check(it, message, i);
    expect(it, zmsg_send(&message, it->socket) == 0, "could not reply", i);
  }
}

static const struct role {
  const char *name;
  void (*run)(peer *it);
} roles[] = {
    {"send", send_flood},     {"receive", receive_flood}, {"publish", publish},
    {"subscribe", subscribe}, {"request", request},       {"reply", reply},
};

/* ---- security ----------------------------------------------------------- */

static char place[] = "/tmp/zmqloop-czmq-XXXXXX";

static void remove_place(void) {
  zdir_t *directory = zdir_new(place, NULL);
  if (directory) {
    zdir_remove(directory, true);
    zdir_destroy(&directory);
  }
}

/* What its authenticator reads is in files. */
static void make_place(peer *it) {
  expect(it, mkdtemp(place) != NULL, "no directory", 0);
  (void)atexit(remove_place);
  it->auth = zactor_new(zauth, NULL);
}

static void serve_plain(peer *it, const char *user, const char *password) {
  char path[TEXT];
  make_place(it);
  (void)snprintf(path, sizeof path, "%s/passwords", place);
  FILE *file = fopen(path, "w");
  expect(it, file != NULL, "no file", 0);
  (void)fprintf(file, "%s=%s\n", user, password);
  (void)fclose(file);
  zstr_sendx(it->auth, "PLAIN", path, NULL);
  zsock_wait(it->auth);
  zsock_set_plain_server(it->socket, 1);
  zsock_set_zap_domain(it->socket, "global");
}

static void serve_curve(peer *it, const char *public, const char *secret,
                        const char *client) {
  char path[TEXT];
  byte key[32];
  make_place(it);
  (void)snprintf(path, sizeof path, "%s/client.txt", place);
  expect(it, zmq_z85_decode(key, client) != NULL, "no key", 0);
  zcert_t *certificate = zcert_new_from(key, key); /* its secret is not saved */
  expect(it, zcert_save_public(certificate, path) == 0, "no file", 0);
  zcert_destroy(&certificate);
  zstr_sendx(it->auth, "CURVE", place, NULL);
  zsock_wait(it->auth);
  zsock_set_curve_server(it->socket, 1);
  zsock_set_curve_publickey(it->socket, public);
  zsock_set_curve_secretkey(it->socket, secret);
  zsock_set_zap_domain(it->socket, "global");
}

static void secure(peer *it, bool serves, int argc, char **argv) {
  if (argc == 0) {
    return;
  }
  bool is_plain = streq(argv[0], "plain");
  expect(it, argc == (is_plain ? 3 : 4), "bad credentials", argc);
  if (is_plain && serves) {
    serve_plain(it, argv[1], argv[2]);
  } else if (is_plain) {
    zsock_set_plain_username(it->socket, argv[1]);
    zsock_set_plain_password(it->socket, argv[2]);
  } else if (serves) {
    serve_curve(it, argv[1], argv[2], argv[3]);
  } else {
    zsock_set_curve_publickey(it->socket, argv[1]);
    zsock_set_curve_secretkey(it->socket, argv[2]);
    zsock_set_curve_serverkey(it->socket, argv[3]);
  }
}

/* ---- the conversation --------------------------------------------------- */

static int type_of(const char *name) {
  static const char *const names[] = {"PAIR",   "PUB",    "SUB",  "REQ", "REP",
                                      "DEALER", "ROUTER", "PULL", "PUSH"};
  int type = 0;
  while (type < 9 && !streq(names[type], name)) {
    type++;
  }
  return type;
}

static zsock_t *new_socket(int type) {
  zsock_t *socket = zsock_new(type);
  zsock_set_linger(socket, TIMEOUT_MS);
  zsock_set_rcvtimeo(socket, TIMEOUT_MS);
  zsock_set_sndtimeo(socket, TIMEOUT_MS);
  return socket;
}

static void set_options(peer *it) {
  if (it->type == ZMQ_PUB || it->type == ZMQ_SUB) {
    zsock_set_sndhwm(it->socket, 0);
    zsock_set_rcvhwm(it->socket, 0);
  }
  if (it->type == ZMQ_SUB) {
    zsock_set_subscribe(it->socket, "");
  }
  if (it->type == ZMQ_ROUTER) {
    zsock_set_router_mandatory(it->socket, 1); /* else libzmq drops */
  }
  if (it->type == ZMQ_DEALER) {
    (void)zmq_setsockopt(zsock_resolve(it->socket), ZMQ_ROUTING_ID, "peer", 5);
  }
}

static void attach(peer *it, bool binds, const char *endpoint) {
  if (!binds) {
    expect(it, zsock_connect(it->socket, "%s", endpoint) == 0, endpoint, 0);
    return;
  }
  expect(it, zsock_bind(it->socket, "%s", endpoint) != -1, endpoint, 0);
  char *bound = zsock_last_endpoint(it->socket);
  zstr_sendf(it->control, "bound %s", bound);
  zstr_free(&bound);
}

/* A DEALER introduces itself, so that a ROUTER can address it. */
static void introduce(peer *it) {
  if (it->type == ZMQ_DEALER) {
    zstr_send(it->socket, "hello");
  }
  if (it->type == ZMQ_ROUTER) {
    zmsg_t *hello = receive(it, 0);
    it->prefix = zmsg_pop(hello);
    expect(it, zframe_streq(zmsg_first(hello), "hello"), "no hello", 0);
    zmsg_destroy(&hello);
  }
}

static void play(peer *it, const char *role) {
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    if (streq(roles[i].name, role)) {
      roles[i].run(it);
      return;
    }
  }
  leave_with(it, role, 0);
}

int main(int argc, char **argv) {
  if (argc < 7) {
    return 2;
  }
  bool binds = streq(argv[4], "bind");
  peer it = {.type = type_of(argv[3]), .count = (int)strtol(argv[6], NULL, 10)};
  it.control = new_socket(ZMQ_PAIR);
  it.socket = new_socket(it.type);
  if (zsock_connect(it.control, "%s", argv[1]) != 0) {
    return 2;
  }
  set_options(&it);
  secure(&it, binds, argc - 7, argv + 7);
  attach(&it, binds, argv[5]);
  introduce(&it);
  play(&it, argv[2]);
  zstr_send(it.control, "done");
  /* What a peer that closes still delivers is another question. */
  char *word = zstr_recv(it.control);
  expect(&it, word && streq(word, "bye"), "no bye", 0);
  zstr_free(&word);
  zframe_destroy(&it.prefix);
  zactor_destroy(&it.auth);
  zsock_destroy(&it.socket);
  zsock_destroy(&it.control);
  return 0;
}
