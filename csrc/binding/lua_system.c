/* What eventlog.core asks of the system: the time, the process, random bytes.
 */
#include "lua_binding.h"
#include "lua_open.h"

/* now() -> seconds on a clock that only goes forward */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)evl_now());
  return 1;
}

/* time() -> seconds since 1970 (UTC), with fractions */
static int core_time(lua_State *L) {
  lua_pushnumber(L, (lua_Number)evl_time());
  return 1;
}

/* pid() -> this process */
static int core_pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)evl_process_id());
  return 1;
}

enum { MOST_RANDOM = 256 };

/* random(n) -> a string of n random bytes, or nil, kind, why */
static int core_random(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  char bytes[MOST_RANDOM], why[EVL_WHY_SIZE] = "";
  int status;

  luaL_argcheck(L, n >= 1 && n <= MOST_RANDOM, 1, "from 1 to 256 expected");
  status = evl_random(bytes, (size_t)n, why);
  if (status != EVL_OK) return evl_binding_push_status(L, status, why);
  lua_pushlstring(L, bytes, (size_t)n);
  return 1;
}

void evl_binding_open_system(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"now", core_now},       {"time", core_time}, {"pid", core_pid},
      {"random", core_random}, {NULL, NULL},
  };

  evl_binding_set_functions(L, functions);
}
