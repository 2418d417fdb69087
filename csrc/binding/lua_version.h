#ifndef EVL_LUA_VERSION_H
#define EVL_LUA_VERSION_H

/* The LUA_VERSION_NUM of the Lua in this process, told by the functions that it
 * has (LuaJIT: 501), or 0 if this platform does not tell. Needs no lua_State,
 * which is another one in each version. */
int evl_lua_version_running(void);

#endif
