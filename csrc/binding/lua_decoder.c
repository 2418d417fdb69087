/* eventlog.core's decoder: bytes -> replies -> Lua tables. */
#include "lua_binding.h"

#include <string.h>

#define CLASS "eventlog.decoder"

typedef struct lua_decoder {
  evl_decoder *decoder;
} lua_decoder;

static const char *const shapes[] = {"range", "read", NULL}; /* evl_shape */

evl_decoder *evl_binding_check_decoder(lua_State *L, int index) {
  lua_decoder *self = luaL_checkudata(L, index, CLASS);

  if (self->decoder == NULL) luaL_argerror(L, index, "already collected");
  return self->decoder;
}

static int decoder_gc(lua_State *L) {
  lua_decoder *self = luaL_checkudata(L, 1, CLASS);

  evl_decoder_free(self->decoder);
  self->decoder = NULL;
  return 0;
}

/* decoder([max_reply]) -> a decoder that has seen no bytes. max_reply: how many
 * bytes a reply may have (1 GiB) */
static int decoder_new(lua_State *L) {
  lua_Number most = luaL_optnumber(L, 1, (lua_Number)EVL_MAX_REPLY);
  lua_decoder *self;

  luaL_argcheck(L, most >= 1 && most <= 9007199254740992.0, 1, "out of range");
  self = evl_binding_new_object(L, sizeof *self, CLASS);
  self->decoder = evl_decoder_new();
  if (self->decoder == NULL) return luaL_error(L, "not enough memory");
  evl_decoder_set_max_reply(self->decoder, (uint64_t)most);
  return 1;
}

/* decoder:feed(bytes) -> true, or nil, kind, why */
static int decoder_feed(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);

  return evl_binding_push_status(L, evl_decoder_feed(d, bytes, len),
                                 evl_decoder_error(d));
}

static evl_item first_item(const evl_decoder *d) {
  evl_cursor cursor = evl_cursor_start(d);
  evl_item item;

  memset(&item, 0, sizeof item);
  (void)evl_cursor_next(&cursor, &item);
  return item;
}

int evl_binding_push_type(lua_State *L, const evl_decoder *d) {
  lua_pushstring(L, evl_item_type_name(first_item(d).type));
  return 1;
}

/* decoder:next() -> the next reply's type ("nil", "string", "status", "error",
 * "integer", "array"); false where more bytes are needed; or nil,
 * kind, why. The methods below read that reply. */
static int decoder_next(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  int status = evl_decoder_next(d);

  if (status != EVL_OK)
    return evl_binding_push_status(L, status, evl_decoder_error(d));
  return evl_binding_push_type(L, d);
}

/* decoder:too_large() -> whether next() failed because a reply is larger than
 * max_reply: fewer entries at a time may fit */
static int decoder_too_large(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);

  lua_pushboolean(L, evl_decoder_feed(d, "", 0) == EVL_ETOOLARGE);
  return 1;
}

/* decoder:empty() -> whether no byte is left that next() has not given */
static int decoder_empty(lua_State *L) {
  lua_pushboolean(L, evl_decoder_empty(evl_binding_check_decoder(L, 1)));
  return 1;
}

/* decoder:skip_statuses(most) -> how many replies it passed over: those behind
 * the one at hand that are statuses, as far as they are there */
static int decoder_skip_statuses(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  lua_Integer most = luaL_checkinteger(L, 2);
  size_t skipped = most > 0 ? evl_decoder_skip_statuses(d, (size_t)most) : 0;

  lua_pushinteger(L, (lua_Integer)skipped);
  return 1;
}

/* decoder:trim() -> whether no byte was left: then it drops the reply, and
 * gives its memory back */
static int decoder_trim(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  int empty = evl_decoder_empty(d);

  evl_decoder_trim(d);
  lua_pushboolean(L, empty);
  return 1;
}

/* decoder:value() -> the reply, a string or an integer; else nil */
static int decoder_value(lua_State *L) {
  evl_item item = first_item(evl_binding_check_decoder(L, 1));

  switch (item.type) {
  case EVL_ITEM_STRING:
  case EVL_ITEM_STATUS:
  case EVL_ITEM_ERROR: lua_pushlstring(L, item.string, item.len); return 1;
  case EVL_ITEM_INTEGER:
    lua_pushinteger(L, (lua_Integer)item.integer);
    return 1;
  default: return 0;
  }
}

/* decoder:id() -> the reply, an entry's id; else nil */
static int decoder_id(lua_State *L) {
  evl_item item = first_item(evl_binding_check_decoder(L, 1));
  evl_id id;

  if (item.type != EVL_ITEM_STRING ||
      evl_id_parse(item.string, item.len, &id) != EVL_OK)
    return 0;
  lua_pushlstring(L, item.string, item.len);
  return 1;
}

static int wrong_shape(lua_State *L) {
  return evl_binding_push_status(L, EVL_EPROTOCOL,
                                 "the reply is not what the command answers");
}

/* decoder:length() -> how many items the reply has, an array; else nil */
static int decoder_length(lua_State *L) {
  evl_item item = first_item(evl_binding_check_decoder(L, 1));

  if (item.type != EVL_ITEM_ARRAY) return 0;
  lua_pushinteger(L, (lua_Integer)item.len);
  return 1;
}

/* decoder:strings(first, count [, "ids"]) -> a list of items first.. of the
 * reply, a flat array; where one of them is an error: nil, "server", its text,
 * and which of them it is; where one is anything else, or missing: nil,
 * "protocol", why
 */
static int decoder_strings(lua_State *L) {
  evl_cursor cursor = evl_cursor_start(evl_binding_check_decoder(L, 1));
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer count = luaL_checkinteger(L, 3), i;
  int ids = !lua_isnoneornil(L, 4); /* nothing else will do */
  evl_id id;
  evl_item item;

  if (evl_cursor_next(&cursor, &item) != EVL_OK ||
      item.type != EVL_ITEM_ARRAY || first < 1 || count < 0 ||
      (uint64_t)(first - 1 + count) > item.len)
    return wrong_shape(L);
  lua_createtable(L, (int)count, 0);
  for (i = 1; i < first + count; i++) {
    if (evl_cursor_next(&cursor, &item) != EVL_OK) return wrong_shape(L);
    if (i < first) continue;
    if (item.type == EVL_ITEM_ERROR) {
      lua_pushnil(L);
      lua_pushliteral(L, "server");
      lua_pushlstring(L, item.string, item.len);
      lua_pushinteger(L, i - first + 1);
      return 4;
    }
    if (item.type != EVL_ITEM_STRING ||
        (ids && evl_id_parse(item.string, item.len, &id) != EVL_OK))
      return wrong_shape(L);
    lua_pushlstring(L, item.string, item.len);
    lua_rawseti(L, -2, (int)(i - first + 1));
  }
  return 1;
}

/* decoder:any_string(first, count) -> whether one of items first.. of the
 * reply, an array, is a string */
static int decoder_any_string(lua_State *L) {
  evl_cursor cursor = evl_cursor_start(evl_binding_check_decoder(L, 1));
  lua_Integer first = luaL_checkinteger(L, 2);
  lua_Integer end = first + luaL_checkinteger(L, 3), i;
  evl_item item;
  int found = 0;

  if (evl_cursor_next(&cursor, &item) == EVL_OK && item.type == EVL_ITEM_ARRAY)
    for (i = 1; i < end && !found; i++) {
      if (evl_cursor_next(&cursor, &item) != EVL_OK) break;
      found = i >= first && item.type == EVL_ITEM_STRING;
    }
  lua_pushboolean(L, found);
  return 1;
}

/* Moves past one value, with all that is in it, and takes the first item of it
 * that is no array; the innermost array if that is empty. */
static int first_leaf(evl_cursor *cursor, evl_item *leaf) {
  uint64_t left = 1;
  evl_item item;

  leaf->type = EVL_ITEM_ARRAY;
  leaf->len = 1;
  for (; left > 0; left--) {
    if (evl_cursor_next(cursor, &item) != EVL_OK) return EVL_EPROTOCOL;
    if (item.type == EVL_ITEM_ARRAY) left += item.len;
    if (leaf->type == EVL_ITEM_ARRAY && leaf->len > 0) *leaf = item;
  }
  return EVL_OK;
}

/* The most names in a reply of XINFO. */
enum { INFO_NAMES = 64 };

/* decoder:info() -> the reply, an array of names and values, as a table: a
 * string or an integer as it is; of entries, or of one, the first id; nothing
 * of what is empty. Or nil, kind, why. */
static int decoder_info(lua_State *L) {
  evl_cursor cursor = evl_cursor_start(evl_binding_check_decoder(L, 1));
  evl_item list, name, leaf;
  size_t i;

  if (evl_cursor_next(&cursor, &list) != EVL_OK ||
      list.type != EVL_ITEM_ARRAY || list.len % 2 != 0 ||
      list.len / 2 > INFO_NAMES)
    return wrong_shape(L);
  lua_newtable(L);
  for (i = 0; i < list.len / 2; i++) {
    if (evl_cursor_next(&cursor, &name) != EVL_OK ||
        name.type != EVL_ITEM_STRING || first_leaf(&cursor, &leaf) != EVL_OK)
      return wrong_shape(L);
    lua_pushlstring(L, name.string, name.len);
    if (leaf.type == EVL_ITEM_STRING)
      lua_pushlstring(L, leaf.string, leaf.len);
    else if (leaf.type == EVL_ITEM_INTEGER)
      lua_pushinteger(L, (lua_Integer)leaf.integer);
    else
      lua_pushnil(L);
    lua_rawset(L, -3);
  }
  return 1;
}

/* --- entries ------------------------------------------------------------- */

static int skip_fields(evl_cursor *cursor, size_t fields) {
  evl_item name, value;

  while (fields-- > 0)
    if (evl_cursor_field(cursor, &name, &value) != EVL_OK) return EVL_EPROTOCOL;
  return EVL_OK;
}

/* decoder:page(shape, limit) -> count, last, first, size: how many entries the
 * reply holds, which is at most one more than limit; the id of the last of its
 * first `limit` entries, and of the first; how many bytes the last entry of all
 * has, as Redis sends it. Or nil, kind, why. shape: "range" (XRANGE,
 * XREVRANGE) or "read" (XREAD). Does not look at the entries between. */
static int decoder_page(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  evl_cursor cursor = evl_cursor_start(d);
  evl_shape shape = (evl_shape)luaL_checkoption(L, 2, NULL, shapes);
  size_t limit = (size_t)luaL_checkinteger(L, 3), count, fields;
  evl_cursor last = evl_cursor_start(d);
  evl_item id;

  if (evl_cursor_entries(&cursor, shape, &count) != EVL_OK ||
      (count > limit && count - limit > 1))
    return wrong_shape(L);
  lua_pushinteger(L, (lua_Integer)count);
  if (count == 0) return 1;
  if (evl_cursor_last(&last, shape, limit > 0 && count > limit) != EVL_OK ||
      evl_cursor_entry(&last, &id, &fields) != EVL_OK)
    return wrong_shape(L);
  if (limit > 0)
    lua_pushlstring(L, id.string, id.len);
  else
    lua_pushnil(L);
  if (evl_cursor_entry(&cursor, &id, &fields) != EVL_OK) return wrong_shape(L);
  lua_pushlstring(L, id.string, id.len);
  lua_pushinteger(L, (lua_Integer)evl_decoder_last_size(d, shape));
  return 4;
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

/* Pushes the name of an entry's nth field. */
static void push_name(lua_State *L, names *known, size_t n,
                      const evl_item *name) {
  if (n >= known->count) {
    lua_pushlstring(L, name->string, name->len);
    return;
  }
  if (known->items[n].len != name->len ||
      memcmp(known->items[n].string, name->string, name->len) != 0) {
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
  size_t count, i, at, fields;
  evl_item id;
  names known;
  int list;

  if (evl_cursor_entries(&cursor, shape, &count) != EVL_OK)
    return wrong_shape(L);
  if (skip > count) skip = count;
  if (limit > count - skip) limit = count - skip;
  lua_settop(L, 5);
  if (lua_isnil(L, 5)) /* one more key: a batch's caught_up */
    lua_createtable(L, foreseen(limit, evl_cursor_room(&cursor, 1)), 1);
  else
    luaL_checktype(L, 5, LUA_TTABLE);
  list = lua_gettop(L);
  at = lua_rawlen(L, list);
  luaL_checkstack(L, NAMES + 8, NULL);
  names_init(L, &known, limit > 1 ? NAMES : 0); /* a lone one has none before */
  for (i = 0; i < skip; i++)
    if (evl_cursor_entry(&cursor, &id, &fields) != EVL_OK ||
        skip_fields(&cursor, fields) != EVL_OK)
      return wrong_shape(L);
  for (i = 0; i < limit; i++) {
    if (push_entry(L, &cursor, &known, as_pairs) != EVL_OK)
      return wrong_shape(L);
    lua_rawseti(L, list, (int)++at);
  }
  lua_settop(L, list);
  return 1;
}

void evl_binding_open_decoder(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"feed", decoder_feed},
      {"next", decoder_next},
      {"skip_statuses", decoder_skip_statuses},
      {"trim", decoder_trim},
      {"id", decoder_id},
      {"value", decoder_value},
      {"length", decoder_length},
      {"page", decoder_page},
      {"strings", decoder_strings},
      {"any_string", decoder_any_string},
      {"info", decoder_info},
      {"empty", decoder_empty},
      {"too_large", decoder_too_large},
      {NULL, NULL},
  };

  evl_binding_new_class(L, CLASS, methods, decoder_gc);
  luaL_getmetatable(L, CLASS);
  lua_getfield(L, -1, "__index");
  lua_pushliteral(L, "id");
  lua_pushliteral(L, "fields");
  lua_pushcclosure(L, decoder_entries, 2);
  lua_setfield(L, -2, "entries");
  lua_pop(L, 2);
  lua_pushcfunction(L, decoder_new);
  lua_setfield(L, -2, "decoder");
}
