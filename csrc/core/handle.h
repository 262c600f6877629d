/* handle.h - what timers, watches, signals and streams have in common.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HANDLE_H
#define ZL_HANDLE_H

#include <stdbool.h>
#include <stddef.h>

#include "list.h"
#include "zmqloop.h"

/* What every handle begins with. `all` is on handles.open while the handle is
 * open and on handles.graveyard from its close until the stack has unwound. */
typedef struct zl__handle zl__handle;

typedef struct zl__handle_kind {
  size_t size;
  void (*close)(zl__handle *handle); /* its zl_X_close() */
  /* Frees what it owns besides its own memory; may be NULL. */
  void (*dispose)(zl__handle *handle);
  /* Is there something it waits for? NULL: not to be asked (timers). */
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
  zl__link graveyard; /* closed, to be freed when the stack has unwound */
  zl__link lively;    /* all handles that are alive, and some that were */
  int kept;           /* frames of the core on the stack that call out */
} zl__handles;

/* A handle of the kind, with zeros behind its zl__handle. Returns 0 or -ENOMEM.
 */
int zl__handle_new(zl_loop *loop, const zl__handle_kind *kind,
                   zl__handle **out);

/* Marks the handle closed; its memory stays until no frame of the core that may
 * still look at it is on the stack. */
void zl__handle_bury(zl__handle *handle);

/* To be called when the handle may have become alive. zl__handles_alive()
 * removes from the list what is not, each at the cost of one call of this. */
void zl__handle_enliven(zl__handle *handle);

void zl__handles_init(zl__handles *handles);

/* Does any wait for something? */
bool zl__handles_alive(const zl__handles *handles);

/* Between the two, closed handles keep their memory. They nest. */
void zl__handles_keep(zl_loop *loop);
void zl__handles_release(zl_loop *loop);

void zl__handles_close_all(zl_loop *loop);

#endif /* ZL_HANDLE_H */
