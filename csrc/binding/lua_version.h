#ifndef EVL_LUA_VERSION_H
#define EVL_LUA_VERSION_H

/* The LUA_VERSION_NUM of the Lua in this process, told by the functions that it
 * has (LuaJIT: 501), or 0 if this platform does not tell. Needs no lua_State,
 * which is another one in each version. */
int evl_lua_version_running(void);
/* Raises, in the Lua of this lua_State, if that was compiled as C++ and its
 * functions have C++ names: none of those that are used here is there then. (A
 * Lua that is C++ with C names, as Debian has one, is as good as one in C:
 * errors cross the binding as exceptions, and nothing here needs cleaning up.)
 */
void evl_lua_refuse_cxx(void *L);

#endif
