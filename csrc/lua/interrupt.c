/* interrupt.c - was the loop interrupted by Ctrl-C?
 * SPDX-License-Identifier: MIT
 *
 * The interpreter's handler of SIGINT resets the signal and installs a hook,
 * which raises in whatever Lua function comes next. That may be a callback: its
 * error is then no error of the callback, but the user's wish.
 */
#define _GNU_SOURCE
#include "interrupt.h"

#include <signal.h>

#include "loop.h"

/* Has SIGINT a handler, as interpreters install? */
bool zlua_sigint_has_handler(void) {
  struct sigaction action;
  return sigaction(SIGINT, NULL, &action) == 0 &&
         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

/* Has SIGINT been reset since the loop was entered, as the interpreters do when
 * it comes? */
bool zlua_was_interrupted(zlua_loop *loop) {
  if (!loop->sigint_handled || zlua_sigint_has_handler()) {
    return false;
  }
  loop->sigint_handled = false;
  return true;
}

/* The loop has got or lost a handler of signals: that of SIGINT is gone for
 * another reason than that it came. */
void zlua_sigint_changed(zlua_loop *loop) {
  loop->sigint_handled = zlua_sigint_has_handler();
}
