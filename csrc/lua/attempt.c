/* attempt.c - sends and receives that signals interrupt.
 * SPDX-License-Identifier: MIT
 *
 * A call that a signal interrupts is made again, after the host's handler has
 * had the occasion to raise; its time does not start anew.
 */
#include "attempt.h"

#include <errno.h>
#include <zmq.h>

#include "compat.h"
#include "hook.h"
#include "socket.h"
#include "wait.h"

/* After EINTR: waits for what is left of the socket's time; what then is not
 * ready is EAGAIN. Returns 0, -ENOTSOCK if the signal's handler has closed the
 * socket, or -ECHILD. */
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
