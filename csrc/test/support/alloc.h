/* alloc.h - an allocator that counts, checks sizes, and can run out.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_TEST_ALLOC_H
#define ZL_TEST_ALLOC_H

#include <stddef.h>

typedef struct test_alloc {
  size_t bytes;    /* allocated now */
  size_t blocks;   /* allocated now */
  long requests;   /* for memory, so far */
  long fail_from;  /* requests fail from this number on, counted from 1; 0: none
                    */
  long fail_count; /* how many of them fail */
  long failed;     /* how many have failed */
} test_alloc;

/* A zl_alloc_fn; ud is a test_alloc. Fails the test when the old size is not
 * the one requested. */
void *test_alloc_fn(void *ud, void *ptr, size_t osize, size_t nsize);

#endif /* ZL_TEST_ALLOC_H */
