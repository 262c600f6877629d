/* stream_close.h - closing a stream.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_STREAM_CLOSE_H
#define ZLUA_STREAM_CLOSE_H

#include <stddef.h>

#include "compat.h"

size_t zlua_stream_close(lua_State *L, int index, const int *linger);

#endif /* ZLUA_STREAM_CLOSE_H */
