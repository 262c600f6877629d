/* constants.h - numbers of libzmq and the system by name.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CONSTANTS_H
#define ZLUA_CONSTANTS_H

#include <zmq.h>

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZLUA_DGRAM = ZMQ_DGRAM };
#else
enum { ZLUA_DGRAM = -1 };
#endif

const char *zlua_type_name(int type);

#endif /* ZLUA_CONSTANTS_H */
