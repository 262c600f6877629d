/* hot.h - functions that must be inlined.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HOT_H
#define ZL_HOT_H

/* What is done for each message: a call costs as much as it does. */
#ifdef __GNUC__
#define ZL__HOT __attribute__((always_inline)) static inline
#else
#define ZL__HOT static inline
#endif

#endif /* ZL_HOT_H */
