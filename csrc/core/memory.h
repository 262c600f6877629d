/* memory.h - the allocator of a loop.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_MEMORY_H
#define ZL_MEMORY_H

#include <stddef.h>

#include "zmqloop.h"

typedef struct zl__memory {
  zl_alloc_fn fn;
  void *ud;
} zl__memory;

/* The C library's allocator. */
void *zl__system_alloc(void *ud, void *ptr, size_t osize, size_t nsize);

/* Both return NULL when out of memory; a block that cannot be resized stays as
 * it is. */
static inline void *zl__alloc(zl__memory *memory, size_t size) {
  return memory->fn(memory->ud, NULL, 0, size);
}

static inline void *zl__resize(zl__memory *memory, void *ptr, size_t old_size,
                               size_t new_size) {
  return memory->fn(memory->ud, ptr, old_size, new_size);
}

static inline void zl__free(zl__memory *memory, void *ptr, size_t size) {
  if (ptr) {
    (void)memory->fn(memory->ud, ptr, size, 0);
  }
}

#endif /* ZL_MEMORY_H */
