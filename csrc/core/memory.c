/* memory.c - the allocator of a loop.
 * SPDX-License-Identifier: MIT
 */
#include <stdlib.h>

#include "internal.h"

void *zl__system_alloc(void *ud, void *ptr, size_t osize, size_t nsize) {
  (void)ud;
  (void)osize;
  if (nsize == 0) {
    free(ptr);
    return NULL;
  }
  return realloc(ptr, nsize);
}

void *zl__alloc(zl_loop *loop, size_t size) {
  return loop->alloc(loop->alloc_ud, NULL, 0, size);
}

void *zl__resize(zl_loop *loop, void *ptr, size_t old_size, size_t new_size) {
  return loop->alloc(loop->alloc_ud, ptr, old_size, new_size);
}

void zl__free(zl_loop *loop, void *ptr, size_t size) {
  if (ptr) {
    (void)loop->alloc(loop->alloc_ud, ptr, size, 0);
  }
}
