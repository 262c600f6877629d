/* error.c - names and texts of codes.
 * SPDX-License-Identifier: MIT
 *
 * The texts are our own: strerror() is not thread-safe and follows the locale,
 * and libzmq's texts differ from the system's in case.
 */
#include <errno.h>
#include <stddef.h>

#include "zmqloop.h"

#define ZL__ERRORS(X)                                                          \
  X(EACCES, "permission denied")                                               \
  X(EADDRINUSE, "address already in use")                                      \
  X(EADDRNOTAVAIL, "address not available")                                    \
  X(EAFNOSUPPORT, "address family not supported")                              \
  X(EAGAIN, "resource temporarily unavailable")                                \
  X(EBADF, "bad file descriptor")                                              \
  X(EBUSY, "resource busy")                                                    \
  X(ECANCELED, "operation canceled")                                           \
  X(ECHILD, "belongs to the parent of this process")                           \
  X(ECONNABORTED, "connection aborted")                                        \
  X(ECONNREFUSED, "connection refused")                                        \
  X(ECONNRESET, "connection reset")                                            \
  X(EEXIST, "already registered")                                              \
  X(EFAULT, "bad address")                                                     \
  X(EFSM, "operation cannot be accomplished in current state")                 \
  X(EHOSTUNREACH, "host unreachable")                                          \
  X(EINPROGRESS, "operation in progress")                                      \
  X(EINTR, "interrupted")                                                      \
  X(EINVAL, "invalid argument")                                                \
  X(EIO, "input/output error")                                                 \
  X(EISDIR, "is a directory")                                                  \
  X(ELOOP, "too many levels")                                                  \
  X(EMFILE, "too many open files or sockets")                                  \
  X(EMSGSIZE, "message too long")                                              \
  X(EMTHREAD, "no I/O thread available")                                       \
  X(ENAMETOOLONG, "name too long")                                             \
  X(ENETDOWN, "network is down")                                               \
  X(ENETRESET, "connection aborted by network")                                \
  X(ENETUNREACH, "network unreachable")                                        \
  X(ENFILE, "too many open files in system")                                   \
  X(ENOBUFS, "no buffer space available")                                      \
  X(ENOCOMPATPROTO, "protocol is not compatible with the socket type")         \
  X(ENODEV, "no such device")                                                  \
  X(ENOENT, "no such file, directory or endpoint")                             \
  X(ENOMEM, "not enough memory")                                               \
  X(ENOSPC, "no space, or too many watches")                                   \
  X(ENOSYS, "not implemented")                                                 \
  X(ENOTCONN, "not connected")                                                 \
  X(ENOTDIR, "not a directory")                                                \
  X(ENOTRECOVERABLE, "state not recoverable")                                  \
  X(ENOTSOCK, "not a socket")                                                  \
  X(ENOTSUP, "operation not supported")                                        \
  X(EOVERFLOW, "value too large")                                              \
  X(EPERM, "operation not permitted")                                          \
  X(EPIPE, "broken pipe")                                                      \
  X(EPROTO, "protocol error")                                                  \
  X(EPROTONOSUPPORT, "protocol not supported")                                 \
  X(ERANGE, "result out of range")                                             \
  X(EROFS, "read-only file system")                                            \
  X(ESHUTDOWN, "no more messages are accepted")                                \
  X(ETERM, "context was terminated")                                           \
  X(ETIMEDOUT, "timed out")

typedef struct entry {
  int number;
  const char *name;
  const char *text;
} entry;

#define ZL__ENTRY(number, text) {number, #number, text},
static const entry entries[] = {ZL__ERRORS(ZL__ENTRY)};

static const entry *error_find(int rc) {
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
    if (entries[i].number == -rc) {
      return &entries[i];
    }
  }
  return NULL;
}

const char *zl_strerror(int rc) {
  const entry *found = error_find(rc);
  return found ? found->text : zmq_strerror(-rc);
}

const char *zl_errname(int rc) {
  const entry *found = error_find(rc);
  return found ? found->name : "EUNKNOWN";
}
