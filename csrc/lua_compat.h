/* One source for Lua 5.1, LuaJIT, 5.3 and 5.4. */
#ifndef EVL_LUA_COMPAT_H
#define EVL_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

#if LUA_VERSION_NUM < 503
/* Every number is a double there; whole ones are formatted as integers. */
#define lua_isinteger(L, index) 0
#endif

#endif
