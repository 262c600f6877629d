/* hot.h - functions that must be inlined, and others that must not.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HOT_H
#define ZL_HOT_H

/* ZL__HOT: functions run for each message, where a call would cost as much as
 * the work itself. ZL__RARE: what such a function does in the unusual case,
 * apart from it, so that the usual one saves no registers for that. */
#ifdef __GNUC__
#define ZL__HOT  __attribute__((always_inline)) static inline
#define ZL__RARE __attribute__((noinline)) static
#else
#define ZL__HOT  static inline
#define ZL__RARE static
#endif

#endif /* ZL_HOT_H */
