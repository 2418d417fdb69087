/* One source for Lua 5.1, LuaJIT, 5.3 and 5.4. */
#ifndef EVL_LUA_COMPAT_H
#define EVL_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 501 || LUA_VERSION_NUM == 502 || LUA_VERSION_NUM > 504
#error "eventlog supports Lua 5.1, 5.3, 5.4 and LuaJIT: this is another lua.h"
#endif

/* Functions that we use and that other versions of Lua lack. Weak, so that the
 * module can be loaded there at all, to say that it is the wrong one
 * (luaopen_eventlog_core), and not ld.so that a symbol is undefined. */
#if defined(__GNUC__) && defined(__ELF__)
#if LUA_VERSION_NUM == 501
#pragma weak lua_insert
#pragma weak lua_objlen
#pragma weak lua_replace
#pragma weak lua_tointeger
#pragma weak lua_tonumber
#else
#pragma weak lua_copy
#pragma weak lua_isinteger
#pragma weak lua_rawlen
#pragma weak lua_rotate
#pragma weak lua_tointegerx
#pragma weak lua_tonumberx
#endif
#if LUA_VERSION_NUM == 504
#pragma weak lua_newuserdatauv
#else
#pragma weak lua_newuserdata
#endif
#endif

#if LUA_VERSION_NUM < 502
#define lua_rawlen lua_objlen
#endif

#if LUA_VERSION_NUM < 503
/* Every number is a double there; whole ones are formatted as integers. */
#define lua_isinteger(L, index) 0
#endif

#endif
