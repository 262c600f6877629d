/* attempt.c - sends and receives that signals interrupt.
 * SPDX-License-Identifier: MIT
 *
 * A call that a signal interrupts is repeated, after the host's handler has had
 * a chance to raise; its timeout is not restarted.
 */
#include "attempt.h"

#include <errno.h>
#include <zmq.h>

#include "compat.h"
#include "hook.h"
#include "socket.h"
#include "wait.h"

/* After EINTR: waits for the rest of the socket's timeout; if it is not ready
 * then, the result is EAGAIN. Returns 0, -ENOTSOCK if the signal handler has
 * closed the socket, or -ECHILD. */
int zlua_attempt_again(lua_State *L, const zlua_socket *socket,
                       zlua_attempt *it) {
  int timeout = -1;
  size_t size = sizeof timeout;
  int rc = zlua_socket_check_process(socket);
  if (rc < 0) {
    return rc;
  }
  zlua_after_operation(socket); /* the hook may raise */
  zlua_let_hooks_run(L);
  if (!socket->zmq) {
    return -ENOTSOCK;
  }
  (void)zmq_getsockopt(socket->zmq, it->option, &timeout, &size);
  if (timeout >= 0 && !(it->flags & ZMQ_DONTWAIT)) {
    zmq_pollitem_t item = {.socket = socket->zmq, .events = it->events};
    (void)zlua_poll_until(L, &item, 1,
                          zlua_deadline_ns(it->started_ns, timeout));
    it->flags |= ZMQ_DONTWAIT;
  }
  return socket->zmq ? 0 : -ENOTSOCK;
}
