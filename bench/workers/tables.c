/* What tail() cannot do without: the Lua tables, and nothing else. A module for
 * Lua 5.4 with one function, build(count): a list of so many entries, with the
 * bytes of those that the writer fills a log with; every table at its final
 * size, every field name interned once. */
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

enum { FIELDS = 4, DIGITS = 16 };

static const char *const names[FIELDS] = {"event", "player", "room", "value"};

/* Counts on, in place, over a dash if there is one. */
static void increment(char *digits, int len) {
  for (int i = len - 1; i >= 0; i--) {
    if (digits[i] == '-') continue;
    if (digits[i]++ != '9') return;
    digits[i] = '0';
  }
}

static int build(lua_State *L) {
  lua_Integer count = luaL_checkinteger(L, 1);
  /* As long as most ids of a log that is filled fast. */
  char value[DIGITS], id[] = "1700000000000-000";
  memset(value, '0', sizeof value);
  lua_settop(L, 1);
  lua_pushliteral(L, "id");     /* 2 */
  lua_pushliteral(L, "fields"); /* 3 */
  for (int f = 0; f < FIELDS; f++)
    lua_pushstring(L, names[f]); /* 4 ... 7 */
  lua_createtable(L, (int)count, 0);
  for (lua_Integer i = 1; i <= count; i++) {
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, 2);
    lua_pushlstring(L, id, sizeof id - 1);
    lua_rawset(L, -3);
    increment(id, sizeof id - 1);
    lua_pushvalue(L, 3);
    lua_createtable(L, 0, FIELDS);
    for (int f = 0; f < FIELDS; f++) {
      lua_pushvalue(L, 4 + f);
      lua_pushlstring(L, value, DIGITS);
      lua_rawset(L, -3);
      increment(value, DIGITS);
    }
    lua_rawset(L, -3);
    lua_rawseti(L, -2, i);
  }
  return 1;
}

int luaopen_tables(lua_State *L);
int luaopen_tables(lua_State *L) {
  lua_pushcfunction(L, build);
  return 1;
}
