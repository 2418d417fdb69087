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

/* One that every Lua has, and luaL_error() as C++ names it. */
void lua_settop(void) __attribute__((weak));
int luaL_error_of_cxx(void *L, const char *format,
                      ...) __asm__("_Z10luaL_errorP9lua_StatePKcz")
    __attribute__((weak));

void evl_lua_refuse_cxx(void *L) {
  if (lua_settop == NULL && luaL_error_of_cxx != NULL)
    (void)luaL_error_of_cxx(
        L, "eventlog.core calls Lua's functions by their C names, and this Lua "
           "has C++ names: compile Lua as C, or as C++ with LUA_API defined as "
           "extern \"C\"");
}

#else

void evl_lua_refuse_cxx(void *L) { (void)L; }

int evl_lua_version_running(void) { return 0; }

#endif
