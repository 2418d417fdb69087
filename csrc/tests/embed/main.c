/* Runs a script that finds eventlog.core inside this program. */
#include <eventlog.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

int luaopen_eventlog_core(lua_State *L);

static const char script[] =
    "package.path, package.cpath = '', ''\n" /* nothing from outside */
    "local core = require 'eventlog.core'\n"
    "assert(core.VERSION == ..., core.VERSION)\n"
    "assert(core.id_next '1-1' == '1-2')\n"
    "print(core.VERSION)\n";

int main(void) {
  lua_State *L = luaL_newstate();
  int failed;

  if (L == NULL) return 1;
  luaL_openlibs(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_eventlog_core);
  lua_setfield(L, -2, "eventlog.core");
  lua_pop(L, 1);

  failed = luaL_loadstring(L, script);
  if (!failed) {
    lua_pushstring(L, EVL_VERSION);
    failed = lua_pcall(L, 1, 0, 0);
  }
  if (failed) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return failed;
}
