/* verify.c - the invariants of a loop, for debug builds and tests.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "loop.h"
#include "signal.h"
#include "stream.h"

static const char *verify_handles(const zl_loop *loop) {
  const zl__link *head = &loop->handles.open;
  for (const zl__link *link = head->next; link != head; link = link->next) {
    if (link->next->prev != link) {
      return "the handles' links agree";
    }
    const zl__handle *handle = zl__container(link, const zl__handle, all);
    if (handle->closed) {
      return "a handle on the list is open";
    }
    if (handle->kind->alive && handle->kind->alive(handle) &&
        !zl__linked(&handle->lively)) {
      return "a handle that is alive is on the list of live handles";
    }
  }
  return NULL;
}

static const char *verify_slots(const zl_loop *loop) {
  for (uint32_t i = 1; i < loop->registry.slot_count; i++) {
    const zl__watch *watch = loop->registry.slots[i].watch;
    if (watch && (watch->handle.closed || watch->index != i)) {
      return "a slot's watch is open and knows its slot";
    }
    if (watch && watch->fd >= 0 && loop->registry.owners[watch->fd] != i) {
      return "a watch owns its descriptor";
    }
  }
  return NULL;
}

static const char *verify_ready(const zl__link *head) {
  for (const zl__link *link = head->next; link != head; link = link->next) {
    const zl__watch *watch = zl__container(link, const zl__watch, ready);
    if (watch->handle.closed) {
      return "a ready watch is open";
    }
  }
  return NULL;
}

int zl_loop_verify(const zl_loop *loop, const char **what) {
  const char *broken = verify_handles(loop);
  if (!broken) {
    broken = verify_slots(loop);
  }
  if (!broken) {
    broken = verify_ready(&loop->ready.dirty);
  }
  if (!broken) {
    broken = verify_ready(&loop->ready.turn);
  }
  if (!broken) {
    broken = zl__heap_verify(&loop->heap);
  }
  if (!broken) {
    broken = zl__streams_verify(loop);
  }
  if (!broken) {
    broken = zl__signals_verify(loop);
  }
  if (!broken && loop->callbacks.collected > loop->callbacks.count) {
    broken = "the callbacks collected are among those queued";
  }
  if (what) {
    *what = broken;
  }
  return broken ? -ENOTRECOVERABLE : 0;
}
