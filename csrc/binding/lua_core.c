/* The module eventlog.core: puts the files of the binding together. None of
 * them uses this one. */
#include "lua_binding.h"
#include "lua_open.h"
#include "lua_version.h"

/* quote(string) -> the string as messages show it: quoted, on one line, without
 * control bytes; cut if it is long */
static int core_quote(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);

  evl_binding_push_quoted(L, s, len);
  return 1;
}

/* thread() -> the calling coroutine; unlike coroutine.running() of Lua 5.1,
 * also the main one */
static int core_thread(lua_State *L) {
  lua_pushthread(L);
  return 1;
}

/* reverse(list) -> the same list, its last item first now */
static int core_reverse(lua_State *L) {
  int i, j;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  for (i = 1, j = (int)lua_rawlen(L, 1); i < j; i++, j--) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, j);
    lua_rawseti(L, 1, i);
    lua_rawseti(L, 1, j);
  }
  return 1;
}

/* list_length(table) -> how many items it has; nil if it is no list, since it
 * has holes or other keys */
static int core_list_length(lua_State *L) {
  size_t length, keys = 0;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  length = lua_rawlen(L, 1);
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
    keys++;
  if (keys != length) return 0;
  lua_pushinteger(L, (lua_Integer)length);
  return 1;
}

static const luaL_Reg functions[] = {
    {"list_length", core_list_length},
    {"quote", core_quote},
    {"reverse", core_reverse},
    {"thread", core_thread},
    {NULL, NULL},
};

/* Raises if this module is built for another Lua than the one that has loaded
 * it. Nothing is used here but what is the same in each Lua: luaL_error(), and
 * arguments, but no pseudo-index. Lua 5.2 and later pass the module's file. */
static void check_lua(lua_State *L) {
  const int running = evl_lua_version_running(), minor = running % 100;
  const int has_file = lua_type(L, 2) == LUA_TSTRING;

  if (running == LUA_VERSION_NUM || running == 0) return;
  luaL_error(L,
             running == 502 || running > 504
                 ? "eventlog.core%s%s%s is built for Lua 5.%d, and this is Lua "
                   "5.%d%s: eventlog runs on Lua 5.1, 5.3, 5.4 and LuaJIT"
                 : "eventlog.core%s%s%s is built for Lua 5.%d, and this is Lua "
                   "5.%d%s: build it for this one, with luarocks --lua-version "
                   "5.%d make or cmake -DEVENTLOG_LUA=5.%d",
             has_file ? " (" : "", has_file ? lua_tostring(L, 2) : "",
             has_file ? ")" : "", LUA_VERSION_NUM % 100, minor,
             running == 501 ? " or LuaJIT" : "", minor, minor);
}

#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
    int luaopen_eventlog_core(lua_State *L);

int luaopen_eventlog_core(lua_State *L) {
  evl_lua_refuse_cxx(L);
  check_lua(L);
  lua_newtable(L);
  evl_binding_set_functions(L, functions);
  evl_binding_open_ids(L);
  evl_binding_open_url(L);
  evl_binding_open_system(L);
  evl_binding_open_request(L);
  evl_binding_open_decoder(L);
  evl_binding_open_socket(L);
  evl_binding_open_timer(L);
  lua_pushliteral(L, EVL_VERSION);
  lua_setfield(L, -2, "VERSION");
  return 1;
}
