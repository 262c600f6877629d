/* pyload.c - a load in the process, for Python. SPDX-License-Identifier: MIT */
#include "load.h"

static bench b;

/* The arguments of the driver; a context's address. */
void pyload_start(int argc, char **argv, void *context);
void pyload_join(void);

/* What it found: name and value, or NULL. */
const char *pyload_figure(int index, double *value);

void pyload_start(int argc, char **argv, void *context) {
  bench_parse(&b, argc, argv);
  load_start(&b, context);
}

void pyload_join(void) {
  load_join(&b);
}

const char *pyload_figure(int index, double *value) {
  if (index >= b.figure_count)
    return NULL;
  *value = b.figures[index].value;
  return b.figures[index].name;
}
