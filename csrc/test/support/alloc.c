/* alloc.c - an allocator that counts, checks sizes, and can run out.
 * SPDX-License-Identifier: MIT
 *
 * Resizing always moves the block, so that a pointer kept across it is found by
 * the sanitizers.
 */
#include "alloc.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../test.h"

typedef union header {
  size_t size;
  max_align_t align;
} header;

static void release(test_alloc *a, void *ptr, size_t osize) {
  header *h = (header *)ptr - 1;
  CHECK_INT(h->size, osize);
  a->bytes -= osize;
  a->blocks--;
  free(h);
}

static int refused(test_alloc *a) {
  a->requests++;
  if (a->fail_from == 0 || a->requests < a->fail_from ||
      a->failed >= a->fail_count) {
    return 0;
  }
  a->failed++;
  return 1;
}

void *test_alloc_fn(void *ud, void *ptr, size_t osize, size_t nsize) {
  test_alloc *a = ud;
  if (nsize == 0) {
    if (ptr) {
      release(a, ptr, osize);
    }
    return NULL;
  }
  header *h = refused(a) ? NULL : malloc(sizeof *h + nsize);
  if (!h) {
    return NULL;
  }
  h->size = nsize;
  memset(h + 1, 0xa5, nsize);
  a->bytes += nsize;
  a->blocks++;
  if (ptr) {
    memcpy(h + 1, ptr, osize < nsize ? osize : nsize);
    release(a, ptr, osize);
  }
  return h + 1;
}
