/* interrupt.h - was the loop interrupted by Ctrl-C?
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_INTERRUPT_H
#define ZLUA_INTERRUPT_H

#include "loop.h"

bool zlua_sigint_has_handler(void);
bool zlua_was_interrupted(zlua_loop *loop);
void zlua_sigint_changed(zlua_loop *loop);

#endif /* ZLUA_INTERRUPT_H */
