/* What lua_core.c, and no other file, calls: each adds its functions to the
 * module table at the top of the stack, and registers the classes behind them.
 * Nothing is left on the stack. Errors are raised. */
#ifndef EVL_LUA_OPEN_H
#define EVL_LUA_OPEN_H

#include "lua_compat.h"

void evl_binding_open_ids(lua_State *L);
void evl_binding_open_url(lua_State *L);
void evl_binding_open_system(lua_State *L);
void evl_binding_open_request(lua_State *L);
void evl_binding_open_decoder(lua_State *L);
void evl_binding_open_socket(lua_State *L);
void evl_binding_open_timer(lua_State *L);

#endif
