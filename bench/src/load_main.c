/* load_main.c - the load generator as a program: load MODE [KEY=VALUE...]
 * [-- COMMAND...]. SPDX-License-Identifier: MIT */
#include "load.h"

#include <string.h>
#include <zmq.h>

int main(int argc, char **argv) {
  bench b;
  bench_parse(&b, argc, argv);
  char **command = argv;
  while (*command != NULL && strcmp(*command, "--") != 0)
    command++;
  void *context = zmq_ctx_new();
  load_run(&b, context, *command != NULL ? command + 1 : NULL);
  zmq_ctx_term(context);
  bench_report(&b);
  return 0;
}
