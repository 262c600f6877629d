/* interrupt.c - was the loop interrupted by Ctrl-C?
 * SPDX-License-Identifier: MIT
 *
 * The interpreter's handler of SIGINT resets the signal and installs a hook,
 * which raises in whatever Lua function runs next. If that is a callback, the
 * error is not the callback's, but an interrupt by the user.
 */
#define _GNU_SOURCE
#include "interrupt.h"

#include <signal.h>

#include "loop.h"

/* Does SIGINT have a handler, such as the interpreters'? */
bool zlua_sigint_has_handler(void) {
  struct sigaction action;
  return sigaction(SIGINT, NULL, &action) == 0 &&
         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

/* Has SIGINT been reset since the loop was entered, as interpreters do when it
 * arrives? */
bool zlua_was_interrupted(zlua_loop *loop) {
  if (!loop->sigint_handled || zlua_sigint_has_handler()) {
    return false;
  }
  loop->sigint_handled = false;
  return true;
}

/* A signal handler was added to or removed from the loop: a change of SIGINT's
 * handler does not mean that the signal has arrived. */
void zlua_sigint_changed(zlua_loop *loop) {
  loop->sigint_handled = zlua_sigint_has_handler();
}
