/* inproc.h - the names of inproc.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_INPROC_H
#define ZLUA_INPROC_H

#include "compat.h"

typedef struct zlua_context zlua_context;
typedef struct zlua_name zlua_name;
typedef struct zlua_socket zlua_socket;

int zlua_inproc_begin(const zlua_socket *socket, const char *address,
                      bool binds, zlua_name **out);
void zlua_inproc_began(zlua_name *name, bool done);
void zlua_inproc_ended(const zlua_socket *socket, const char *address);
void zlua_inproc_forget(const zlua_socket *socket);
void zlua_inproc_close(zlua_context *context);

#endif /* ZLUA_INPROC_H */
