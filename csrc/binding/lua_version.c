/* Which Lua has loaded this module. It does not include lua.h: what that
 * declares depends on the Lua that the module is built for. */
#include "lua_version.h"

#include <stddef.h>

#if defined(__GNUC__) && defined(__ELF__)

/* Functions that came with a version of Lua, and that later ones have; NULL in
 * a Lua before. LuaJIT has none of them. Never called. */
void lua_rawlen(void) __attribute__((weak));
void lua_isinteger(void) __attribute__((weak));
void lua_newuserdatauv(void) __attribute__((weak));
void lua_pushexternalstring(void) __attribute__((weak));

int evl_lua_version_running(void) {
  if (lua_pushexternalstring != NULL) return 505;
  if (lua_newuserdatauv != NULL) return 504;
  if (lua_isinteger != NULL) return 503;
  if (lua_rawlen != NULL) return 502;
  return 501;
}

#else

int evl_lua_version_running(void) { return 0; }

#endif
