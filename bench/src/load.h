/* load.h - the load generator: sends, checks what comes back, measures times.
 * SPDX-License-Identifier: MIT
 *
 *   push     PUSH as fast as the peer takes it, as bench_flood_number() says
 *   number   the same with each message different
 *   req      REQ: compares every reply byte by byte; pauses before each request
 *   dealers  100 DEALER sockets with 10 requests each in flight: compares every
 *            reply, and their order
 *   sub      SUB: compares every message; pauses before it takes the first one
 *   startup  starts the command after "--" b->counted times and asks it once
 */
#ifndef LOAD_H
#define LOAD_H

#include "bench.h"

/* Runs b->workload on a context and adds what it found to b. command is the one
 * to be started, or NULL. */
void load_run(bench *b, void *context, char **command);

/* Starts b->load, if there is one, on a thread of its own. */
void load_start(const bench *b, void *context);

/* Waits for its end, and adds what it found to b. */
void load_join(bench *b);

#endif
