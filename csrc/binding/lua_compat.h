/* One source for Lua 5.1, LuaJIT, 5.3 and 5.4. */
#ifndef EVL_LUA_COMPAT_H
#define EVL_LUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 501 || LUA_VERSION_NUM == 502 || LUA_VERSION_NUM > 504
#error "eventlog supports Lua 5.1, 5.3, 5.4 and LuaJIT: this is another lua.h"
#endif

/* Each function of Lua's that is used here, weak: so that the module can be
 * loaded at all by a Lua that lacks it, because it is another version or
 * has C++ names, and says so (luaopen_eventlog_core); otherwise ld.so
 * would say that a symbol is undefined. spec/build_spec.lua looks whether one
 * is missing here. */
#if defined(__GNUC__) && defined(__ELF__)
#pragma weak luaL_argerror
#pragma weak luaL_checkinteger
#pragma weak luaL_checklstring
#pragma weak luaL_checknumber
#pragma weak luaL_checkoption
#pragma weak luaL_checkstack
#pragma weak luaL_checktype
#pragma weak luaL_checkudata
#pragma weak luaL_error
#pragma weak luaL_newmetatable
#pragma weak luaL_optinteger
#pragma weak luaL_optnumber
#pragma weak lua_concat
#pragma weak lua_createtable
#pragma weak lua_getfield
#pragma weak lua_gettop
#pragma weak lua_next
#pragma weak lua_pushboolean
#pragma weak lua_pushcclosure
#pragma weak lua_pushfstring
#pragma weak lua_pushinteger
#pragma weak lua_pushlstring
#pragma weak lua_pushnil
#pragma weak lua_pushnumber
#pragma weak lua_pushstring
#pragma weak lua_pushthread
#pragma weak lua_pushvalue
#pragma weak lua_rawgeti
#pragma weak lua_rawset
#pragma weak lua_rawseti
#pragma weak lua_setfield
#pragma weak lua_setmetatable
#pragma weak lua_settop
#pragma weak lua_toboolean
#pragma weak lua_tolstring
#pragma weak lua_touserdata
#pragma weak lua_type
#pragma weak lua_typename
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
