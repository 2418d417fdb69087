/* eventlog.core's decoder, continued: a reply's entries -> Lua tables. */
#include "lua_decoder.h"

#include <string.h>

static const char *const shapes[] = {"range", "read", NULL}; /* evl_shape */
/* What an entry's fields are made. */
static const char *const maps[] = {"map", "pairs", NULL};

static int skip_fields(evl_cursor *cursor, size_t fields) {
  evl_item name, value;

  while (fields-- > 0)
    if (evl_cursor_field(cursor, &name, &value) != EVL_OK) return EVL_EPROTOCOL;
  return EVL_OK;
}

/* The names of the entry before: those of the next are the same, as a rule, and
 * then Lua need not look them up. They lie on the stack from `base` on. */
enum { NAMES = 32 };

typedef struct names {
  int base;
  size_t count;
  evl_item items[NAMES];
} names;

static void names_init(lua_State *L, names *known, size_t count) {
  size_t i;

  known->base = lua_gettop(L) + 1;
  known->count = count;
  for (i = 0; i < count; i++) {
    known->items[i].string = "";
    known->items[i].len = 0;
    if (i == 0)
      lua_pushliteral(L, "");
    else
      lua_pushvalue(L, known->base);
  }
}

/* memcmp() == 0; without a call for the lengths that names have. */
static inline int are_same(const char *a, const char *b, size_t len) {
  uint64_t x, y;
  uint32_t v, w;

  if (len < 4 || len > 16) return memcmp(a, b, len) == 0;
  if (len < 8) {
    memcpy(&v, a, 4), memcpy(&w, b, 4);
    if (v != w) return 0;
    memcpy(&v, a + len - 4, 4), memcpy(&w, b + len - 4, 4);
    return v == w;
  }
  memcpy(&x, a, 8), memcpy(&y, b, 8);
  if (x != y) return 0;
  memcpy(&x, a + len - 8, 8), memcpy(&y, b + len - 8, 8);
  return x == y;
}

/* Pushes the name of an entry's nth field. */
static void push_name(lua_State *L, names *known, size_t n,
                      const evl_item *name) {
  if (n >= known->count) {
    lua_pushlstring(L, name->string, name->len);
    return;
  }
  if (known->items[n].len != name->len ||
      !are_same(known->items[n].string, name->string, name->len)) {
    lua_pushlstring(L, name->string, name->len);
    lua_replace(L, known->base + (int)n);
    known->items[n] = *name;
  }
  lua_pushvalue(L, known->base + (int)n);
}

/* What a table is made for, where so many are claimed: no more than the bytes
 * that are left can hold. Beyond what is usual it grows with what comes. */
static int foreseen(size_t claimed, size_t room) {
  enum { USUAL = 4096 };

  if (claimed > room) claimed = room;
  return (int)(claimed < USUAL ? claimed : USUAL);
}

/* Pushes so many fields of an entry: { name = value, ... }, of a name that is
 * repeated the last value; or { { name, value }, ... }, as they are stored. */
static int push_map(lua_State *L, evl_cursor *cursor, names *known,
                    size_t fields) {
  evl_item name, value;
  size_t n;

  lua_createtable(L, 0, foreseen(fields, evl_cursor_room(cursor, 0)));
  for (n = 0; n < fields; n++) {
    if (evl_cursor_field(cursor, &name, &value) != EVL_OK) return EVL_EPROTOCOL;
    push_name(L, known, n, &name);
    lua_pushlstring(L, value.string, value.len);
    lua_rawset(L, -3);
  }
  return EVL_OK;
}

static int push_pairs(lua_State *L, evl_cursor *cursor, names *known,
                      size_t fields) {
  evl_item name, value;
  size_t n;

  lua_createtable(L, foreseen(fields, evl_cursor_room(cursor, 0)), 0);
  for (n = 0; n < fields; n++) {
    if (evl_cursor_field(cursor, &name, &value) != EVL_OK) return EVL_EPROTOCOL;
    lua_createtable(L, 2, 0);
    push_name(L, known, n, &name);
    lua_rawseti(L, -2, 1);
    lua_pushlstring(L, value.string, value.len);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, -2, (int)n + 1);
  }
  return EVL_OK;
}

/* Pushes one entry: { id = ..., fields = ... }. The keys are the calling
 * function's upvalues, so that they are not looked up each time. */
static int push_entry(lua_State *L, evl_cursor *cursor, names *known,
                      int as_pairs) {
  evl_item id;
  size_t fields;
  int status;

  if (evl_cursor_entry(cursor, &id, &fields) != EVL_OK) return EVL_EPROTOCOL;
  lua_createtable(L, 0, 2);
  lua_pushvalue(L, lua_upvalueindex(1)); /* "id" */
  lua_pushlstring(L, id.string, id.len);
  lua_rawset(L, -3);
  lua_pushvalue(L, lua_upvalueindex(2)); /* "fields" */
  status = as_pairs ? push_pairs(L, cursor, known, fields)
                    : push_map(L, cursor, known, fields);
  if (status != EVL_OK) return status;
  lua_rawset(L, -3);
  return EVL_OK;
}

/* Appends so many entries to the list there. */
static int append(lua_State *L, evl_cursor *cursor, int list, size_t count,
                  int as_pairs) {
  size_t at = lua_rawlen(L, list);
  names known;

  luaL_checkstack(L, NAMES + 8, NULL);
  names_init(L, &known, count > 1 ? NAMES : 0); /* a lone one has none before */
  for (; count > 0; count--) {
    if (push_entry(L, cursor, &known, as_pairs) != EVL_OK) return EVL_EPROTOCOL;
    lua_rawseti(L, list, (int)++at);
  }
  lua_settop(L, list);
  return EVL_OK;
}

/* decoder:page(shape, limit [, fields]) -> count, last, first, size [, batch]:
 * how many entries the reply holds, which is at most one more than limit; the
 * id of the last of its first `limit` entries, and of the first; how many bytes
 * the last entry of all has, as Redis sends it. Or nil, kind, why. shape:
 * "range" (XRANGE, XREVRANGE) or "read" (XREAD). Does not look at the entries
 * between; but with fields ("map" or "pairs"), makes a list of the entries, as
 * entries() does, unless there are more than limit. */
static int decoder_page(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  evl_cursor cursor = evl_cursor_start(d);
  evl_shape shape = (evl_shape)luaL_checkoption(L, 2, NULL, shapes);
  size_t limit = (size_t)luaL_checkinteger(L, 3), count, fields;
  int makes = lua_isnoneornil(L, 4) ? -1 : luaL_checkoption(L, 4, NULL, maps);
  evl_cursor last = evl_cursor_start(d), list;
  evl_item id;

  if (evl_cursor_entries(&cursor, shape, &count) != EVL_OK ||
      (count > limit && count - limit > 1))
    return evl_binding_push_wrong_shape(L);
  list = cursor;
  lua_settop(L, 4);
  lua_pushinteger(L, (lua_Integer)count);
  if (count == 0) {
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushnil(L);
  } else {
    if (evl_cursor_last(&last, shape, limit > 0 && count > limit) != EVL_OK ||
        evl_cursor_entry(&last, &id, &fields) != EVL_OK)
      return evl_binding_push_wrong_shape(L);
    if (limit > 0)
      lua_pushlstring(L, id.string, id.len);
    else
      lua_pushnil(L);
    if (evl_cursor_entry(&cursor, &id, &fields) != EVL_OK)
      return evl_binding_push_wrong_shape(L);
    lua_pushlstring(L, id.string, id.len);
    lua_pushinteger(L, (lua_Integer)evl_decoder_last_size(d, shape));
  }
  if (makes < 0 || count > limit) return 4;
  lua_createtable(L, foreseen(count, evl_cursor_room(&list, 1)), 1);
  if (append(L, &list, lua_gettop(L), count, makes) != EVL_OK)
    return evl_binding_push_wrong_shape(L);
  return 5;
}

/* decoder:entries(shape, skip, limit [, into [, pairs]]) -> a list of the
 * reply's entries: not the first `skip`, and at most `limit` of those that
 * follow; appended to the list `into` if it is one. pairs: whether an entry's
 * fields are a list of pairs. Or nil, kind, why. */
static int decoder_entries(lua_State *L) {
  evl_cursor cursor = evl_cursor_start(evl_binding_check_decoder(L, 1));
  evl_shape shape = (evl_shape)luaL_checkoption(L, 2, NULL, shapes);
  size_t skip = (size_t)luaL_checkinteger(L, 3);
  size_t limit = (size_t)luaL_checkinteger(L, 4);
  int as_pairs = lua_toboolean(L, 6);
  size_t count, i, fields;
  evl_item id;

  if (evl_cursor_entries(&cursor, shape, &count) != EVL_OK)
    return evl_binding_push_wrong_shape(L);
  if (skip > count) skip = count;
  if (limit > count - skip) limit = count - skip;
  lua_settop(L, 5);
  if (lua_isnil(L, 5)) /* one more key: a batch's caught_up */
    lua_createtable(L, foreseen(limit, evl_cursor_room(&cursor, 1)), 1);
  else
    luaL_checktype(L, 5, LUA_TTABLE);
  for (i = 0; i < skip; i++)
    if (evl_cursor_entry(&cursor, &id, &fields) != EVL_OK ||
        skip_fields(&cursor, fields) != EVL_OK)
      return evl_binding_push_wrong_shape(L);
  if (append(L, &cursor, lua_gettop(L), limit, as_pairs) != EVL_OK)
    return evl_binding_push_wrong_shape(L);
  return 1;
}

/* decoder:probe() -> taken, type, there, length: takes the two replies that
 * come next, those of XRANGE of one entry and of XLEN, as far as they are
 * there: how many it took (0 to 2), and the type of the last one. there: how
 * many entries XRANGE has found, if its reply is taken; length: the log's, if
 * both are. A reply of another kind is the last one that is taken, as next()
 * does it. Or nil, kind, why. */
static int decoder_probe(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  int status = evl_decoder_next(d);
  evl_cursor cursor;
  evl_item item;
  size_t found;

  lua_settop(L, 1);
  lua_pushinteger(L, 0);
  if (status == EVL_AGAIN) return 1;
  if (status == EVL_OK) {
    lua_pushinteger(L, 1);
    evl_binding_push_type(L, d);
    cursor = evl_cursor_start(d);
    if (evl_binding_first_item(d).type != EVL_ITEM_ARRAY) return 2;
    if (evl_cursor_entries(&cursor, EVL_RANGE, &found) != EVL_OK || found > 1)
      return evl_binding_push_wrong_shape(L);
    lua_pushinteger(L, (lua_Integer)found);
    status = evl_decoder_next(d);
    if (status == EVL_AGAIN) return 3;
  }
  if (status != EVL_OK)
    return evl_binding_push_status(L, status, evl_decoder_error(d));
  item = evl_binding_first_item(d);
  lua_pushinteger(L, 2);
  evl_binding_push_type(L, d);
  lua_pushinteger(L, (lua_Integer)found);
  if (item.type != EVL_ITEM_INTEGER) return 3;
  lua_pushinteger(L, (lua_Integer)item.integer);
  return 4;
}

void evl_binding_set_entries(lua_State *L) {
  static const luaL_Reg making[] = {
      {"page", decoder_page},
      {"entries", decoder_entries},
      {NULL, NULL},
  };
  const luaL_Reg *method;

  for (method = making; method->name != NULL; method++) {
    lua_pushliteral(L, "id");
    lua_pushliteral(L, "fields");
    lua_pushcclosure(L, method->func, 2);
    lua_setfield(L, -2, method->name);
  }
  lua_pushcfunction(L, decoder_probe);
  lua_setfield(L, -2, "probe");
}
