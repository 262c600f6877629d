/* handle.c - what timers, watches, signals and streams have in common.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

int zl__handle_new(zl_loop *loop, const zl__handle_kind *kind,
                   zl__handle **out) {
  zl__handle *handle = zl__alloc(&loop->memory, kind->size);
  *out = NULL;
  if (!handle) {
    return -ENOMEM;
  }
  memset(handle, 0, kind->size);
  handle->loop = loop;
  handle->kind = kind;
  zl__link_init(&handle->lively);
  zl__append(&loop->handles, &handle->all);
  *out = handle;
  return 0;
}

/* To be called when the handle may have become alive. zl_loop_alive() removes
 * from the list what is not, each at the cost of one call of this. */
void zl__handle_enliven(zl__handle *handle) {
  if (!zl__linked(&handle->lively)) {
    zl__append(&handle->loop->lively, &handle->lively);
  }
}

/* Marks the handle closed; its memory stays until no frame of the core that may
 * still look at it is on the stack. */
void zl__handle_bury(zl__handle *handle) {
  zl_loop *loop = handle->loop;
  handle->closed = true;
  zl__unlink(&handle->lively);
  zl__unlink(&handle->all);
  zl__append(&loop->graveyard, &handle->all);
  if (loop->depth == 0) {
    zl__handles_free_buried(loop);
  }
}

void zl__handles_free_buried(zl_loop *loop) {
  zl__link *link;
  while ((link = zl__first(&loop->graveyard))) {
    zl__handle *handle = zl__container(link, zl__handle, all);
    zl__unlink(link);
    if (handle->kind->dispose) {
      handle->kind->dispose(handle);
    }
    zl__free(&loop->memory, handle, handle->kind->size);
  }
}

/* While a frame of the core is on the stack, closed handles keep their memory.
 */
void zl__loop_enter(zl_loop *loop) {
  loop->depth++;
}

void zl__loop_leave(zl_loop *loop) {
  loop->depth--;
  if (loop->depth == 0) {
    zl__handles_free_buried(loop);
  }
}
