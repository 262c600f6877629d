/* stream_send.h - the core's reports of sent messages.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_STREAM_SEND_H
#define ZLUA_STREAM_SEND_H

#include "zmqloop.h"

void zlua_stream_on_sent(zl_stream *core, uint64_t token, int status,
                         void *arg);
void zlua_stream_on_empty(zl_stream *core, void *arg);

#endif /* ZLUA_STREAM_SEND_H */
