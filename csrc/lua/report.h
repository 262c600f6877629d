/* report.h - reports errors of callbacks to the user.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_REPORT_H
#define ZLUA_REPORT_H

#include "loop.h"

void zlua_report(zlua_loop *loop, lua_State *runner, int runner_index);
void zlua_calling(lua_State *L, int state_index, int callback_index);
void zlua_on_slowest(zl_loop *core, int64_t took_ns, void *arg);

#endif /* ZLUA_REPORT_H */
