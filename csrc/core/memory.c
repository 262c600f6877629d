/* memory.c - the allocator of a loop.
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "memory.h"

void *zl__system_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud;
  (void)osize;
  if (nsize == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, nsize);
}
