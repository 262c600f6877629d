/* start.h - starting libzmq's threads.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_START_H
#define ZLUA_START_H

#include "compat.h"

typedef struct zlua_context zlua_context;

int zlua_context_start(zlua_context *context);
int zlua_address_start(const zlua_context *context);

#endif /* ZLUA_START_H */
