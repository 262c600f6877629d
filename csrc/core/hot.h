/* hot.h - functions that must be inlined.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HOT_H
#define ZL_HOT_H

/* Functions run for each message: a call would cost as much as the work
 * itself. */
#ifdef __GNUC__
#define ZL__HOT __attribute__((always_inline)) static inline
#else
#define ZL__HOT static inline
#endif

#endif /* ZL_HOT_H */
