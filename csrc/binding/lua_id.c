/* eventlog.core's ids and keys: functions that need no object. */
#include "lua_binding.h"
#include "lua_open.h"

/* --- ids ----------------------------------------------------------------- */

static int to_id(lua_State *L, int index, evl_id *id) {
  size_t len;
  const char *s;

  if (lua_type(L, index) != LUA_TSTRING) return EVL_EINVAL;
  s = lua_tolstring(L, index, &len);
  return evl_id_parse(s, len, id);
}

static evl_id check_id(lua_State *L, int index) {
  evl_id id = {0, 0};

  if (to_id(L, index, &id) != EVL_OK)
    luaL_argerror(L, index, "an id \"<ms>-<seq>\" expected");
  return id;
}

static int push_id(lua_State *L, evl_id id) {
  char text[EVL_ID_SIZE];

  lua_pushlstring(L, text, evl_id_format(id, text));
  return 1;
}

/* id(any) -> "<ms>-<seq>", or nil if it is no id */
static int core_id(lua_State *L) {
  evl_id id;

  if (to_id(L, 1, &id) != EVL_OK) return 0;
  return push_id(L, id);
}

/* id_next(id), id_prev(id) -> id, or nil if there is none */
static int core_id_next(lua_State *L) {
  evl_id id = check_id(L, 1);

  return evl_id_next(&id) == EVL_OK ? push_id(L, id) : 0;
}

static int core_id_prev(lua_State *L) {
  evl_id id = check_id(L, 1);

  return evl_id_prev(&id) == EVL_OK ? push_id(L, id) : 0;
}

/* id_compare(a, b) -> a number below, at or above 0 */
static int core_id_compare(lua_State *L) {
  lua_pushinteger(L, evl_id_compare(check_id(L, 1), check_id(L, 2)));
  return 1;
}

/* --- keys ---------------------------------------------------------------- */

/* key_tag(key) -> the hash tag that puts it into its cluster slot; the whole
 * key if it has none */
static int core_key_tag(lua_State *L) {
  size_t len, tag_len;
  const char *key = luaL_checklstring(L, 1, &len);
  const char *tag = evl_key_tag(key, len, &tag_len);

  lua_pushlstring(L, tag, tag_len);
  return 1;
}

/* slot_tag(key) -> the smallest decimal number that, as a hash tag, lies in
 * the key's cluster slot */
static int core_slot_tag(lua_State *L) {
  size_t len;
  const char *key = luaL_checklstring(L, 1, &len);
  char tag[EVL_SLOT_TAG_SIZE];

  lua_pushlstring(L, tag, evl_slot_tag(evl_key_slot(key, len), tag));
  return 1;
}

void evl_binding_open_ids(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"id", core_id},
      {"id_next", core_id_next},
      {"id_prev", core_id_prev},
      {"id_compare", core_id_compare},
      {"key_tag", core_key_tag},
      {"slot_tag", core_slot_tag},
      {NULL, NULL},
  };

  evl_binding_set_functions(L, functions);
}
