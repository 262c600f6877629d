/* stream_notice.h - the core's reports on a stream's queue and errors.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_STREAM_NOTICE_H
#define ZLUA_STREAM_NOTICE_H

#include "zmqloop.h"

void zlua_stream_on_room(zl_stream *core, void *arg);
void zlua_stream_on_error(zl_stream *core, int rc, void *arg);

#endif /* ZLUA_STREAM_NOTICE_H */
