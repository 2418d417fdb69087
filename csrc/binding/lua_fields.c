/* eventlog.core's request, continued: entries, which are Lua tables -> fields
 * -> bytes. */
#include "lua_ranking.h"
#include "lua_request.h"

#include <stdlib.h>
#include <string.h>

/* Where an entry is bad: which one, and its field's name on the stack, or its
 * number in a list of pairs. Pushes nil, message. */
static int bad_entry(lua_State *L, int entry, const char *what) {
  lua_pushnil(L);
  lua_pushfstring(L, "entry #%d %s", entry, what);
  return 2;
}

static int bad_pair(lua_State *L, int entry, int pair, const char *what) {
  lua_pushnil(L);
  lua_pushfstring(L, "entry #%d, field #%d: %s", entry, pair, what);
  return 2;
}

static int bad_value(lua_State *L, int entry, const evl_field *field,
                     int value_type) {
  lua_pushnil(L);
  lua_pushfstring(L, "entry #%d, field ", entry);
  evl_binding_push_quoted(L, field->name, field->name_len);
  lua_pushfstring(L,
                  ": a value must be a string, a number or a boolean, "
                  "not %s",
                  value_type == LUA_TNIL ? "nil" : lua_typename(L, value_type));
  lua_concat(L, 3);
  return 2;
}

static evl_field *add_field(lua_State *L, lua_request *self, size_t count) {
  if (count == self->capacity) {
    size_t capacity = count ? 2 * count : 16;
    evl_field *fields = realloc(self->fields, capacity * sizeof *fields);

    if (fields == NULL) luaL_error(L, "not enough memory");
    self->fields = fields;
    self->capacity = capacity;
  }
  return &self->fields[count];
}

/* The value at the top of the stack; 0 if it cannot be one. The bytes of a
 * string stay the entry's. */
static int read_value(lua_State *L, evl_field *field) {
  switch (lua_type(L, -1)) {
  case LUA_TSTRING:
    field->type = EVL_STRING;
    field->value.string.bytes = lua_tolstring(L, -1, &field->value.string.len);
    return 1;
  case LUA_TNUMBER:
    if (lua_isinteger(L, -1)) {
      field->type = EVL_INTEGER;
      field->value.integer = (int64_t)lua_tointeger(L, -1);
    } else {
      field->type = EVL_DOUBLE;
      field->value.number = (double)lua_tonumber(L, -1);
    }
    return 1;
  case LUA_TBOOLEAN:
    field->type = EVL_INTEGER;
    field->value.integer = lua_toboolean(L, -1);
    return 1;
  default: return 0;
  }
}

/* Both readers leave the entry at hand at the top of the stack and set *count,
 * or push nil and a message and return 2. The map's fields come out sorted. */
static int read_pairs(lua_State *L, lua_request *self, int entry,
                      size_t *count) {
  size_t len = lua_rawlen(L, -1), keys = 0;

  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    keys++;
  if (keys != len)
    return bad_entry(L, entry,
                     "is neither a list of pairs {name, value} nor a table "
                     "from name to value: it has keys of both kinds, or holes");
  for (*count = 0; *count < len; ++*count) {
    evl_field *field = add_field(L, self, *count);
    int pair = (int)*count + 1;

    lua_rawgeti(L, -1, pair);
    if (!lua_istable(L, -1))
      return bad_pair(L, entry, pair, "a pair {name, value} expected");
    lua_rawgeti(L, -1, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
      return bad_pair(L, entry, pair,
                      "the name must be a string; a list of entries is for "
                      "add_many");
    field->name = lua_tolstring(L, -1, &field->name_len);
    lua_rawgeti(L, -2, 2);
    if (!read_value(L, field))
      return bad_value(L, entry, field, lua_type(L, -1));
    if (lua_rawlen(L, -3) != 2)
      return bad_pair(L, entry, pair, "more than a pair {name, value}");
    lua_pop(L, 3);
  }
  return 0;
}

/* Whether the table at that index is a list. */
static int is_list(lua_State *L, int index) {
  int found;

  lua_rawgeti(L, index, 1);
  found = !lua_isnil(L, -1);
  lua_pop(L, 1);
  return found;
}

static int read_map(lua_State *L, lua_request *self, evl_binding_ranking *known,
                    int entry, size_t *count) {
  int alike = known != NULL;
  size_t n = 0;

  *count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1), n++) {
    evl_field *field = add_field(L, self, n);

    if (lua_type(L, -2) != LUA_TSTRING || !read_value(L, field)) {
      if (is_list(L, -3)) {
        lua_pop(L, 2);
        return read_pairs(L, self, entry, count);
      }
      if (lua_type(L, -2) != LUA_TSTRING)
        return bad_entry(L, entry,
                         "has a field whose name is not a string; where order "
                         "matters, give a list of pairs {name, value}");
      field->name = lua_tolstring(L, -2, &field->name_len);
      return bad_value(L, entry, field, lua_type(L, -1));
    }
    field->name = lua_tolstring(L, -2, &field->name_len);
    alike = alike && n < known->count && field->name == known->names[n];
  }
  *count = n;
  evl_binding_sort_fields(self->fields, n, alike, known);
  return 0;
}

/* What is appended before an entry's fields: a command, or with no head the
 * fields' count. */
typedef struct entry_head {
  const char *bytes; /* NULL: none */
  size_t len, argc;
} entry_head;

/* XADD refuses an entry whose names and values have more bytes than that. */
#define MOST_BYTES ((size_t)1 << 30)

/* Whether the entry at hand is too large for any Redis. A number's length is
 * asked for only if it can matter. */
static int is_too_large(const evl_field *fields, size_t count) {
  char digits[EVL_NUMBER_SIZE];
  size_t i, strings = 0, numbers = 0;

  for (i = 0; i < count; i++) {
    size_t value = 0;

    if (fields[i].type == EVL_STRING)
      value = fields[i].value.string.len;
    else
      numbers++;
    if (fields[i].name_len >= MOST_BYTES || value >= MOST_BYTES) return 1;
    strings += fields[i].name_len + value;
    if (strings >= MOST_BYTES) return 1;
  }
  if (numbers < (MOST_BYTES - strings) / EVL_NUMBER_SIZE) return 0;
  for (i = 0; i < count && strings < MOST_BYTES; i++) {
    if (fields[i].type == EVL_INTEGER)
      strings += evl_integer_format(fields[i].value.integer, digits);
    else if (fields[i].type == EVL_DOUBLE)
      strings += evl_double_format(fields[i].value.number, digits);
  }
  return strings >= MOST_BYTES;
}

/* Appends the entry at the top of the stack; 0, or 2 with nil, message. */
static int append_entry(lua_State *L, lua_request *self,
                        evl_binding_ranking *known, const entry_head *head,
                        int entry, size_t *fields) {
  size_t count = 0;
  int bad;

  if (!lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_pushfstring(L, "entry #%d must be a table, not %s", entry,
                    luaL_typename(L, -2));
    return 2;
  }
  bad = read_map(L, self, known, entry, &count);
  if (bad) return bad;
  if (count == 0) return bad_entry(L, entry, "has no fields");
  if (is_too_large(self->fields, count))
    return bad_entry(L, entry,
                     "is too large: its names and values together have 1 GiB "
                     "or more, which Redis never takes");
  if (head->bytes != NULL)
    evl_request_entry(self->request, head->bytes, head->len, head->argc,
                      self->fields, count);
  else
    evl_request_fields(self->request, self->fields, count);
  *fields = count;
  return 0;
}

/* Appends entries first to last of the list at `list`. 0, with the most fields
 * of one of them and the fields of all; or 2 with nil, message, and nothing
 * appended. */
static int append_entries(lua_State *L, lua_request *self,
                          const entry_head *head, int list, int first, int last,
                          size_t *widest, size_t *all) {
  size_t mark = evl_request_mark(self->request);
  int i, bad = 0, top = lua_gettop(L);
  evl_binding_ranking names, *known = last > first ? &names : NULL;

  names.count = 0;
  *widest = *all = 0;
  luaL_checkstack(L, 16, NULL);
  for (i = first; i <= last && !bad; i++) {
    size_t fields = 0;

    lua_settop(L, top);
    lua_rawgeti(L, list, i);
    bad = append_entry(L, self, known, head, i, &fields);
    *all += fields;
    if (fields > *widest) *widest = fields;
  }
  if (evl_request_status(self->request) != EVL_OK) {
    evl_request_rewind(self->request, mark);
    return luaL_error(L, "not enough memory");
  }
  if (bad) evl_request_rewind(self->request, mark);
  return bad;
}

/* request:entries(head, argc, list, last [, first]) -> the most fields that one
 * of them has, or nil, message. Appends one command for each of list's entries
 * first (1) to last: head's argc arguments, then the entry's fields. If one is
 * bad, appends nothing. */
int evl_binding_request_entries(lua_State *L) {
  lua_request *self = evl_binding_check_lua_request(L, 1);
  entry_head head;
  size_t widest, all;
  int first, last, bad;

  head.bytes = luaL_checklstring(L, 2, &head.len);
  head.argc = (size_t)luaL_checkinteger(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  last = (int)luaL_checkinteger(L, 5);
  first = (int)luaL_optinteger(L, 6, 1);
  lua_settop(L, 5);
  bad = append_entries(L, self, &head, 4, first, last, &widest, &all);
  if (bad) return bad;
  lua_pushinteger(L, (lua_Integer)widest);
  return 1;
}

/* arguments(list, n) -> bytes, argc, widest: n entries as a script's arguments,
 * each the count of its names and values, then these. Or nil, message. */
int evl_binding_arguments(lua_State *L) {
  static const entry_head none = {NULL, 0, 0};
  lua_request *self;
  const char *bytes;
  size_t len, widest, all;
  int n = (int)luaL_checkinteger(L, 2), bad;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  self = evl_binding_push_request(L);
  bad = append_entries(L, self, &none, 1, 1, n, &widest, &all);
  evl_binding_free_fields(
      self); /* not when the collector comes by: it knows no malloc */
  if (bad) return bad;
  bytes = evl_request_bytes(self->request, &len);
  lua_pushlstring(L, bytes, len);
  evl_request_clear(self->request);
  lua_pushinteger(L, (lua_Integer)(2 * all) + n);
  lua_pushinteger(L, (lua_Integer)widest);
  return 3;
}
