/* eventlog.core's decoder: bytes -> replies, and what is no entry in them as
 * Lua values; lua_entries.c has the entries. */
#include "lua_decoder.h"
#include "lua_open.h"

#include <string.h>

typedef struct lua_decoder {
  evl_binding_object object;
  evl_decoder *decoder;
} lua_decoder;

static const evl_binding_class class_ = {"eventlog.decoder",
                                         sizeof(lua_decoder)};

evl_decoder *evl_binding_check_decoder(lua_State *L, int index) {
  lua_decoder *self = evl_binding_check_object(L, index, &class_);

  if (self->decoder == NULL) luaL_argerror(L, index, "already collected");
  return self->decoder;
}

static int decoder_gc(lua_State *L) {
  lua_decoder *self = evl_binding_check_object(L, 1, &class_);

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
  self = evl_binding_new_object(L, &class_);
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

evl_item evl_binding_first_item(const evl_decoder *d) {
  evl_cursor cursor = evl_cursor_start(d);
  evl_item item;

  memset(&item, 0, sizeof item);
  (void)evl_cursor_next(&cursor, &item);
  return item;
}

int evl_binding_push_wrong_shape(lua_State *L) {
  return evl_binding_push_status(L, EVL_EPROTOCOL,
                                 "the reply is not what the command answers");
}

int evl_binding_push_type(lua_State *L, const evl_decoder *d) {
  lua_pushstring(L, evl_item_type_name(evl_binding_first_item(d).type));
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
  evl_item item = evl_binding_first_item(evl_binding_check_decoder(L, 1));

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
  evl_item item = evl_binding_first_item(evl_binding_check_decoder(L, 1));
  evl_id id;

  if (item.type != EVL_ITEM_STRING ||
      evl_id_parse(item.string, item.len, &id) != EVL_OK)
    return 0;
  lua_pushlstring(L, item.string, item.len);
  return 1;
}

/* decoder:length() -> how many items the reply has, an array; else nil */
static int decoder_length(lua_State *L) {
  evl_item item = evl_binding_first_item(evl_binding_check_decoder(L, 1));

  if (item.type != EVL_ITEM_ARRAY) return 0;
  lua_pushinteger(L, (lua_Integer)item.len);
  return 1;
}

/* decoder:strings(first, count [, "ids"]) -> a list of items first.. of the
 * reply, a flat array; if one of them is an error: nil, "server", its text,
 * and which of them it is; if one is anything else, or missing: nil,
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
    return evl_binding_push_wrong_shape(L);
  lua_createtable(L, (int)count, 0);
  for (i = 1; i < first + count; i++) {
    if (evl_cursor_next(&cursor, &item) != EVL_OK)
      return evl_binding_push_wrong_shape(L);
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
      return evl_binding_push_wrong_shape(L);
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
 * of what is empty. If the reply is too large, what came whole of it. Or nil,
 * kind, why. */
static int decoder_info(lua_State *L) {
  evl_decoder *d = evl_binding_check_decoder(L, 1);
  evl_cursor cursor = evl_cursor_start(d);
  int is_part = evl_decoder_feed(d, "", 0) == EVL_ETOOLARGE;
  evl_item list, name, leaf;
  size_t i;

  if (evl_cursor_next(&cursor, &list) != EVL_OK ||
      list.type != EVL_ITEM_ARRAY || list.len % 2 != 0 ||
      list.len / 2 > INFO_NAMES)
    return evl_binding_push_wrong_shape(L);
  lua_newtable(L);
  for (i = 0; i < list.len / 2; i++) {
    if (evl_cursor_next(&cursor, &name) != EVL_OK ||
        name.type != EVL_ITEM_STRING || first_leaf(&cursor, &leaf) != EVL_OK)
      return is_part ? 1 : evl_binding_push_wrong_shape(L);
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

void evl_binding_open_decoder(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"feed", decoder_feed},
      {"next", decoder_next},
      {"skip_statuses", decoder_skip_statuses},
      {"trim", decoder_trim},
      {"id", decoder_id},
      {"value", decoder_value},
      {"length", decoder_length},
      {"strings", decoder_strings},
      {"any_string", decoder_any_string},
      {"info", decoder_info},
      {"empty", decoder_empty},
      {"too_large", decoder_too_large},
      {NULL, NULL},
  };

  evl_binding_new_class(L, &class_, methods, decoder_gc);
  luaL_getmetatable(L, class_.name);
  lua_getfield(L, -1, "__index");
  evl_binding_set_entries(L);
  lua_pop(L, 2);
  lua_pushcfunction(L, decoder_new);
  lua_setfield(L, -2, "decoder");
}
