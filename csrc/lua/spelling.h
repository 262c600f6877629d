/* spelling.h - finds the known name nearest to a misspelt one.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SPELLING_H
#define ZLUA_SPELLING_H

#include <stddef.h>

#include "compat.h"

size_t zlua_distance(const char *a, const char *b);
const char *zlua_nearest(const char *name, const char *const *names);

#endif /* ZLUA_SPELLING_H */
