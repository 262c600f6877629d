/* address.h - addresses that libzmq does not check well enough.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_ADDRESS_H
#define ZLUA_ADDRESS_H

#include <stddef.h>

#include "compat.h"

typedef struct zlua_socket zlua_socket;

bool zlua_is_host_and_port(const char *text, size_t length);
bool zlua_address_has_port(const char *address);
int zlua_address_check(const zlua_socket *socket, const char *address,
                       bool binds);

#endif /* ZLUA_ADDRESS_H */
