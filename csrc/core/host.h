/* host.h - a loop inside of another: its descriptor.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HOST_H
#define ZL_HOST_H

#include "loop.h"

/* Makes the descriptor readable until the next step. */
void zl__host_tell(zl_loop *loop);

/* A host that waits for the descriptor of the loop has queued something outside
 * of a step, or started a timer that is due before all others. */
static inline void zl__host_changed(zl_loop *loop) {
  if (loop->host == ZL__HOST_WAITS && loop->handles.kept == 0) {
    zl__host_tell(loop);
  }
}

#endif /* ZL_HOST_H */
