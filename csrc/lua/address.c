/* address.c - addresses that libzmq accepts but should not.
 * SPDX-License-Identifier: MIT
 *
 * libzmq reads the leading digits of a port, and keeps 16 bits of the number:
 * it binds "tcp://127.0.0.1:99999" at 34463. On other addresses it aborts the
 * process later.
 *
 * The multicast transports, pgm, epgm and norm, open their sockets in one of
 * libzmq's threads, which aborts the process if that fails. So it is tried here
 * first. A STREAM aborts over inproc, on frames that no TCP connection would
 * deliver.
 */
#define _GNU_SOURCE
#include "address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include "socket.h"

enum {
  PORT_SPACE = 6,
  IP_PROTOCOL_PGM = 113,
  LEAST_PACKET = 36, /* headers of IP and PGM */
  MOST_PACKET = 65535,
  MOST_HOPS = 255
};

/* What follows the transport's "name://", or NULL if the address has another
 * transport. */
static const char *address_after(const char *address, const char *transport) {
  size_t length = strlen(transport);
  return strncmp(address, transport, length) == 0 ? address + length : NULL;
}

static bool copy(char *to, size_t space, const char *from, size_t length) {
  if (length == 0 || length >= space) {
    return false;
  }
  memcpy(to, from, length);
  to[length] = '\0';
  return true;
}

/* ---- trying out ---------------------------------------------------------- */

/* Where norm and epgm receive. */
typedef struct group {
  struct sockaddr_storage address; /* of the group, or of a single host */
  socklen_t size;
  bool multicast;     /* a group: others may use the port too */
  unsigned interface; /* 0: the system's choice */
} group;

static void set_flag(int fd, int option) {
  int on = 1;
  (void)setsockopt(fd, SOL_SOCKET, option, &on, sizeof on);
}

/* Binds the port on all addresses of this machine, as they do. */
static int try_port(int fd, const group *it) {
  struct sockaddr_storage any = it->address;
  if (it->multicast) {
    set_flag(fd, SO_REUSEADDR);
    set_flag(fd, SO_REUSEPORT);
  }
  if (any.ss_family == AF_INET) {
    ((struct sockaddr_in *)(void *)&any)->sin_addr.s_addr = INADDR_ANY;
  } else {
    ((struct sockaddr_in6 *)(void *)&any)->sin6_addr = in6addr_any;
  }
  return bind(fd, (const struct sockaddr *)&any, it->size) < 0 ? -errno : 0;
}

static int try_membership(int fd, const group *it) {
  struct group_req request = {.gr_interface = it->interface};
  bool is_ip = it->address.ss_family == AF_INET;
  request.gr_group = it->address;
  return setsockopt(fd, is_ip ? IPPROTO_IP : IPPROTO_IPV6, MCAST_JOIN_GROUP,
                    &request, sizeof request) < 0
             ? -errno
             : 0;
}

/* Returns the descriptor or an error. */
static int open_socket(int domain, int type, int protocol) {
  int fd = socket(domain, type, protocol);
  if (fd < 0) {
    return -errno;
  }
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
  return fd;
}

static int try_group(const group *it) {
  int fd = open_socket(it->address.ss_family, SOCK_DGRAM, 0);
  if (fd < 0) {
    return fd;
  }
  int rc = try_port(fd, it);
  if (rc == 0 && it->multicast) {
    rc = try_membership(fd, it);
  }
  (void)close(fd);
  return rc;
}

static int try_raw_socket(void) {
  int fd = open_socket(AF_INET, SOCK_RAW, IP_PROTOCOL_PGM);
  if (fd < 0) {
    return fd;
  }
  (void)close(fd);
  return 0;
}

/* ---- addresses ----------------------------------------------------------- */

static bool is_multicast(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    return IN_MULTICAST(ntohl(
        ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr));
  }
  return IN6_IS_ADDR_MULTICAST(
      &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Is the text of this length a 16-bit number? */
static bool is_port(const char *text, size_t length) {
  size_t zeros = strspn(text, "0");
  zeros = zeros < length ? zeros : length;
  return length > 0 && strspn(text, "0123456789") >= length &&
         length - zeros < PORT_SPACE &&
         strtol(text + zeros, NULL, 10) <= UINT16_MAX;
}

/* address:port, numeric: without a name lookup. */
static int find_group(const char *text, group *it) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC,
                           .ai_socktype = SOCK_DGRAM,
                           .ai_flags = AI_NUMERICHOST};
  struct addrinfo *found;
  char host[INET6_ADDRSTRLEN];
  const char *colon = strrchr(text, ':');
  if (!colon || !is_port(colon + 1, strlen(colon + 1)) ||
      strtol(colon + 1, NULL, 10) == 0 ||
      !copy(host, sizeof host, text, (size_t)(colon - text)) ||
      getaddrinfo(host, colon + 1, &hints, &found) != 0) {
    return -EINVAL;
  }
  memcpy(&it->address, found->ai_addr, found->ai_addrlen);
  it->size = found->ai_addrlen;
  it->multicast = is_multicast(found->ai_addr);
  freeaddrinfo(found);
  return 0;
}

static int find_interface(const char *text, size_t length, group *it) {
  char name[IF_NAMESIZE];
  it->interface =
      copy(name, sizeof name, text, length) ? if_nametoindex(name) : 0;
  return it->interface == 0 ? -ENODEV : 0;
}

/* [id,][interface;]address:port */
static int check_norm(const char *address) {
  group it = {.interface = 0};
  const char *comma = strchr(address, ',');
  address = comma ? comma + 1 : address;
  const char *semicolon = strchr(address, ';');
  int rc = find_group(semicolon ? semicolon + 1 : address, &it);
  if (rc == 0 && semicolon) {
    rc = find_interface(address, (size_t)(semicolon - address), &it);
  }
  return rc < 0 ? rc : try_group(&it);
}

static int get_option(void *zmq, int option) {
  int value = 0;
  size_t size = sizeof value;
  (void)zmq_getsockopt(zmq, option, &value, &size);
  return value;
}

/* Is the rate, in kilobits per second, enough for one packet? */
static bool has_pgm_options(void *zmq) {
  int64_t packet = get_option(zmq, ZMQ_MULTICAST_MAXTPDU);
  int64_t bytes = (int64_t)get_option(zmq, ZMQ_RATE) * 1000 / 8;
  return packet >= LEAST_PACKET && packet <= MOST_PACKET && bytes >= packet &&
         get_option(zmq, ZMQ_MULTICAST_HOPS) <= MOST_HOPS;
}

static bool is_ip(const char *text, size_t length) {
  char copied[INET_ADDRSTRLEN];
  struct in_addr ignored;
  return copy(copied, sizeof copied, text, length) &&
         inet_pton(AF_INET, copied, &ignored) == 1;
}

/* [interface];group:port; the interface is a name or an address. libpgm accepts
 * longer ones, and copies them into arrays that are too short. epgm is over
 * UDP. */
static int check_pgm(void *zmq, const char *address, bool over_udp) {
  group it = {.interface = 0};
  const char *semicolon = strchr(address, ';');
  int rc = semicolon ? find_group(semicolon + 1, &it) : -EINVAL;
  if (rc < 0 || !it.multicast || !has_pgm_options(zmq)) {
    return -EINVAL;
  }
  size_t length = (size_t)(semicolon - address);
  if (length > 0 && !is_ip(address, length)) {
    rc = find_interface(address, length, &it);
  }
  if (rc < 0) {
    return rc;
  }
  return over_udp ? try_group(&it) : try_raw_socket();
}

/* libzmq does not support GSSAPI over WebSockets. */
static int check_websocket(void *zmq) {
  return get_option(zmq, ZMQ_MECHANISM) == ZMQ_GSSAPI ? -ENOCOMPATPROTO : 0;
}

/* ---- ports --------------------------------------------------------------- */

/* The last colon of the text of this length, or NULL. */
static const char *last_colon(const char *text, size_t length) {
  while (length > 0 && text[length - 1] != ':') {
    length--;
  }
  return length > 0 ? text + length - 1 : NULL;
}

/* Does "host:port", of this length, have a valid port? Also true if it has
 * none, or "*" or "!", which libzmq checks itself. */
bool zlua_is_host_and_port(const char *text, size_t length) {
  const char *colon = last_colon(text, length);
  if (!colon) {
    return true;
  }
  const char *port = colon + 1;
  size_t digits = (size_t)(text + length - port);
  bool is_wildcard = digits == 1 && (*port == '*' || *port == '!');
  return digits == 0 || is_wildcard || is_port(port, digits);
}

/* [source:port;]host:port for tcp, [interface;]host:port for udp */
static bool has_good_ports(const char *address, bool has_source_port) {
  const char *semicolon = strrchr(address, ';');
  if (!semicolon) {
    return zlua_is_host_and_port(address, strlen(address));
  }
  return (!has_source_port ||
          zlua_is_host_and_port(address, (size_t)(semicolon - address))) &&
         zlua_is_host_and_port(semicolon + 1, strlen(semicolon + 1));
}

/* Is the port of the address 0 to 65535 or a wildcard? Also true for transports
 * without ports. */
bool zlua_address_has_port(const char *address) {
  const char *rest;
  if ((rest = address_after(address, "tcp://"))) {
    return has_good_ports(rest, true);
  }
  if ((rest = address_after(address, "udp://"))) {
    return has_good_ports(rest, false);
  }
  if ((rest = address_after(address, "ws://")) ||
      (rest = address_after(address, "wss://"))) {
    return zlua_is_host_and_port(rest, strcspn(rest, "/")); /* host:port/path */
  }
  return true;
}

/* Before a bind or connect. Returns 0 or an error. */
int zlua_address_check(const zlua_socket *socket, const char *address,
                       bool binds) {
  const char *rest;
  if ((socket->type == ZMQ_STREAM || socket->raw) &&
      address_after(address, "inproc://")) {
    return -ENOCOMPATPROTO;
  }
  if ((rest = address_after(address, "norm://"))) {
    return zmq_has("norm") ? check_norm(rest) : 0;
  }
  if ((rest = address_after(address, "pgm://")) ||
      (rest = address_after(address, "epgm://"))) {
    return zmq_has("pgm") ? check_pgm(socket->zmq, rest, *address == 'e') : 0;
  }
  if (binds && address_after(address, "wss://") &&
      !(socket->wss_key && socket->wss_cert)) {
    return zmq_has("WSS") ? -EINVAL : -EPROTONOSUPPORT; /* it aborts without */
  }
  if (address_after(address, "ws://") || address_after(address, "wss://")) {
    return check_websocket(socket->zmq);
  }
  return 0;
}
