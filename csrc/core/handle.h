/* handle.h - what timers, watches, signals and streams have in common.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HANDLE_H
#define ZL_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "list.h"
#include "zmqloop.h"

/* The start of every handle. `all` is on handles.open while the handle is open
 * and on handles.graveyard from its close until the stack has unwound. */
typedef struct zl__handle zl__handle;

typedef struct zl__handle_kind {
  size_t size;
  void (*close)(zl__handle *handle); /* its zl_X_close() */
  /* Frees what it owns besides its own memory; may be NULL. */
  void (*dispose)(zl__handle *handle);
  /* Does it wait for anything? NULL: never asked (timers). */
  bool (*alive)(const zl__handle *handle);
} zl__handle_kind;

struct zl__handle {
  zl__link all;
  zl__link lively; /* on handles.lively */
  zl_loop *loop;
  const zl__handle_kind *kind;
  bool closed;
};

/* Those of a loop. */
typedef struct zl__handles {
  zl__link open;
  zl__link graveyard; /* closed; freed when the stack has unwound */
  zl__link lively;    /* all handles that are alive, and some that were */
  int kept;           /* frames of the core on the stack */
} zl__handles;

/* A new handle of the kind, zeroed after its zl__handle. Returns 0 or -ENOMEM.
 */
int zl__handle_new(zl_loop *loop, const zl__handle_kind *kind,
                   zl__handle **out);

/* Marks the handle closed; its memory stays while a frame of the core that may
 * still use it is on the stack. */
void zl__handle_bury(zl__handle *handle);

/* Called when the handle may have become alive. zl__handles_alive() removes
 * handles that are not from the list, each paid for by one call of this. */
void zl__handle_enliven(zl__handle *handle);

void zl__handles_init(zl__handles *handles);

/* Does any handle wait for something? */
bool zl__handles_alive(const zl__handles *handles);

/* Between these two calls, closed handles keep their memory. Calls nest. */
void zl__handles_keep(zl_loop *loop);
void zl__handles_release(zl_loop *loop);

void zl__handles_close_all(zl_loop *loop);

#endif /* ZL_HANDLE_H */
