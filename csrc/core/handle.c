/* handle.c - what timers, watches, signals and streams have in common.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "handle.h"
#include "loop.h"

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
  zl__append(&loop->handles.open, &handle->all);
  *out = handle;
  return 0;
}

void zl__handle_enliven(zl__handle *handle) {
  if (!zl__linked(&handle->lively)) {
    zl__append(&handle->loop->handles.lively, &handle->lively);
  }
}

static void free_buried(zl_loop *loop) {
  zl__link *link;
  while ((link = zl__first(&loop->handles.graveyard))) {
    zl__handle *handle = zl__container(link, zl__handle, all);
    zl__unlink(link);
    if (handle->kind->dispose) {
      handle->kind->dispose(handle);
    }
    zl__free(&loop->memory, handle, handle->kind->size);
  }
}

void zl__handle_bury(zl__handle *handle) {
  zl_loop *loop = handle->loop;
  handle->closed = true;
  zl__unlink(&handle->lively);
  zl__unlink(&handle->all);
  zl__append(&loop->handles.graveyard, &handle->all);
  if (loop->handles.kept == 0) {
    free_buried(loop);
  }
}

void zl__handles_keep(zl_loop *loop) {
  loop->handles.kept++;
}

void zl__handles_release(zl_loop *loop) {
  loop->handles.kept--;
  if (loop->handles.kept == 0) {
    free_buried(loop);
  }
}

void zl__handles_init(zl__handles *handles) {
  zl__link_init(&handles->open);
  zl__link_init(&handles->graveyard);
  zl__link_init(&handles->lively);
}

bool zl__handles_alive(const zl__handles *handles) {
  zl__link *link;
  while ((link = zl__first(&handles->lively))) {
    const zl__handle *handle = zl__container(link, const zl__handle, lively);
    if (handle->kind->alive(handle)) {
      return true;
    }
    zl__unlink(link);
  }
  return false;
}

void zl__handles_close_all(zl_loop *loop) {
  zl__link *link;
  while ((link = zl__first(&loop->handles.open))) {
    zl__handle *handle = zl__container(link, zl__handle, all);
    handle->kind->close(handle);
  }
}
