/* eventlog.core's request: Lua tables -> commands as bytes. */
#include "lua_binding.h"

#include <stdlib.h>

#define CLASS "eventlog.request"

typedef struct lua_request {
  evl_request *request;
  evl_field *fields; /* the entry at hand */
  size_t capacity;
} lua_request;

static lua_request *check(lua_State *L, int index) {
  lua_request *self = luaL_checkudata(L, index, CLASS);

  if (self->request == NULL) luaL_argerror(L, index, "already collected");
  return self;
}

evl_request *evl_binding_check_request(lua_State *L, int index) {
  return check(L, index)->request;
}

static void free_fields(lua_request *self) {
  free(self->fields);
  self->fields = NULL;
  self->capacity = 0;
}

static int request_gc(lua_State *L) {
  lua_request *self = luaL_checkudata(L, 1, CLASS);

  evl_request_free(self->request);
  free_fields(self);
  self->request = NULL;
  return 0;
}

static lua_request *push_request(lua_State *L) {
  lua_request *self = evl_binding_new_object(L, sizeof *self, CLASS);

  self->request = evl_request_new();
  if (self->request == NULL) luaL_error(L, "not enough memory");
  return self;
}

/* request() -> an empty request */
static int request_new(lua_State *L) {
  push_request(L);
  return 1;
}

static void check_status(lua_State *L, const evl_request *r) {
  int status = evl_request_status(r);

  if (status != EVL_OK) luaL_error(L, "%s", evl_strerror(status));
}

/* Appends the arguments from first on: strings, or whole numbers. */
static void append_arguments(lua_State *L, evl_request *r, int first) {
  int i, top = lua_gettop(L);

  for (i = first; i <= top; i++) {
    size_t len;
    const char *s;

    if (lua_type(L, i) == LUA_TNUMBER) {
      evl_request_integer(r, (int64_t)lua_tonumber(L, i));
      continue;
    }
    s = luaL_checklstring(L, i, &len);
    evl_request_string(r, s, len);
  }
  check_status(L, r);
}

/* request:command(name, ...): strings, or whole numbers up to 2^53 */
static int request_command(lua_State *L) {
  enum { FEW = 32 };
  evl_request *r = evl_binding_check_request(L, 1);
  const char *few[FEW], **argv = few;
  char digits[EVL_NUMBER_SIZE];
  size_t few_lens[FEW], *lens = few_lens;
  int i, argc = lua_gettop(L) - 1;

  if (argc > FEW) { /* behind the arguments on the stack, until we are done */
    argv = lua_newuserdata(L, (size_t)argc * sizeof *argv);
    lens = lua_newuserdata(L, (size_t)argc * sizeof *lens);
  }
  for (i = 0; i < argc; i++) {
    if (lua_type(L, i + 2) == LUA_TNUMBER) {
      int64_t number = (int64_t)lua_tonumber(L, i + 2);
      lua_pushlstring(L, digits, evl_integer_format(number, digits));
      lua_replace(L, i + 2);
    }
    argv[i] = luaL_checklstring(L, i + 2, &lens[i]);
  }
  evl_request_command(r, (size_t)argc, argv, lens);
  check_status(L, r);
  return 0;
}

/* head(name, ...) -> bytes, argc: a command's first arguments, encoded once
 * for request:entries */
static int request_head(lua_State *L) {
  int argc = lua_gettop(L);
  lua_request *self = push_request(L);
  const char *bytes;
  size_t len;

  lua_insert(L, 1);
  append_arguments(L, self->request, 2);
  bytes = evl_request_bytes(self->request, &len);
  lua_pushlstring(L, bytes, len);
  lua_pushinteger(L, argc);
  return 2;
}

/* --- entries ------------------------------------------------------------- */

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

/* The value at the top of the stack; 0 where it cannot be one. The bytes of a
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
static int read_map(lua_State *L, lua_request *self, int entry, size_t *count) {
  *count = 0;
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    evl_field *field = add_field(L, self, *count);

    if (lua_type(L, -2) != LUA_TSTRING)
      return bad_entry(L, entry,
                       "has a field whose name is not a string; where order "
                       "matters, give a list of pairs {name, value}");
    field->name = lua_tolstring(L, -2, &field->name_len);
    if (!read_value(L, field))
      return bad_value(L, entry, field, lua_type(L, -1));
    ++*count;
  }
  evl_fields_sort(self->fields, *count);
  return 0;
}

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

/* What is appended before an entry's fields: a command, or with no head the
 * fields' count. */
typedef struct entry_head {
  const char *bytes; /* NULL: none */
  size_t len, argc;
} entry_head;

/* XADD refuses an entry whose names and values have more bytes than that. */
#define MOST_BYTES ((size_t)1 << 30)

/* Whether the entry at hand is too large for any Redis. A number's length is
 * asked for only where it can matter. */
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
static int append_entry(lua_State *L, lua_request *self, const entry_head *head,
                        int entry, size_t *fields) {
  size_t count = 0;
  int is_list, bad;

  if (!lua_istable(L, -1)) {
    lua_pushnil(L);
    lua_pushfstring(L, "entry #%d must be a table, not %s", entry,
                    luaL_typename(L, -2));
    return 2;
  }
  lua_rawgeti(L, -1, 1);
  is_list = !lua_isnil(L, -1);
  lua_pop(L, 1);
  bad = is_list ? read_pairs(L, self, entry, &count)
                : read_map(L, self, entry, &count);
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

/* Appends the first n entries of the list at `list`. 0, with the most fields of
 * one of them and the fields of all; or 2 with nil, message, and nothing
 * appended. */
static int append_entries(lua_State *L, lua_request *self,
                          const entry_head *head, int list, int n,
                          size_t *widest, size_t *all) {
  size_t mark = evl_request_mark(self->request);
  int i, bad = 0, top = lua_gettop(L);

  *widest = *all = 0;
  luaL_checkstack(L, 16, NULL);
  for (i = 1; i <= n && !bad; i++) {
    size_t fields = 0;

    lua_settop(L, top);
    lua_rawgeti(L, list, i);
    bad = append_entry(L, self, head, i, &fields);
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

/* request:entries(head, argc, list, n) -> the most fields that one of them has,
 * or nil, message. Appends one command for each of list's n entries: head's
 * argc arguments, then the entry's fields. Where one is bad, appends nothing.
 */
static int request_entries(lua_State *L) {
  lua_request *self = check(L, 1);
  entry_head head;
  size_t widest, all;
  int n, bad;

  head.bytes = luaL_checklstring(L, 2, &head.len);
  head.argc = (size_t)luaL_checkinteger(L, 3);
  luaL_checktype(L, 4, LUA_TTABLE);
  n = (int)luaL_checkinteger(L, 5);
  lua_settop(L, 5);
  bad = append_entries(L, self, &head, 4, n, &widest, &all);
  if (bad) return bad;
  lua_pushinteger(L, (lua_Integer)widest);
  return 1;
}

/* arguments(list, n) -> bytes, argc, widest: n entries as a script's arguments,
 * each the count of its names and values, then these. Or nil, message. */
static int request_arguments(lua_State *L) {
  static const entry_head none = {NULL, 0, 0};
  lua_request *self;
  const char *bytes;
  size_t len, widest, all;
  int n = (int)luaL_checkinteger(L, 2), bad;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  self = push_request(L);
  bad = append_entries(L, self, &none, 1, n, &widest, &all);
  free_fields(self); /* not when the collector comes by: it knows no malloc */
  if (bad) return bad;
  bytes = evl_request_bytes(self->request, &len);
  lua_pushlstring(L, bytes, len);
  evl_request_clear(self->request);
  lua_pushinteger(L, (lua_Integer)(2 * all) + n);
  lua_pushinteger(L, (lua_Integer)widest);
  return 3;
}

/* request:encoded(args, argc): a command of arguments that head() and
 * arguments() have encoded */
static int request_encoded(lua_State *L) {
  evl_request *r = evl_binding_check_request(L, 1);
  size_t len;
  const char *args = luaL_checklstring(L, 2, &len);

  evl_request_encoded(r, args, len, (size_t)luaL_checkinteger(L, 3));
  if (evl_request_status(r) != EVL_OK) luaL_error(L, "not enough memory");
  return 0;
}

/* What an empty request keeps room for. */
enum { FIELDS_KEPT = 1024 };

/* request:clear(): empties it, and gives memory back */
static int request_clear(lua_State *L) {
  lua_request *self = check(L, 1);

  evl_request_clear(self->request);
  if (self->capacity > FIELDS_KEPT) free_fields(self);
  return 0;
}

/* request:bytes() -> what is still to be sent, for who sends it himself */
static int request_bytes(lua_State *L) {
  size_t len;
  const char *bytes = evl_request_bytes(evl_binding_check_request(L, 1), &len);

  lua_pushlstring(L, bytes, len);
  return 1;
}

/* request:sent(len): that many of these bytes are sent */
static int request_sent(lua_State *L) {
  evl_request *r = evl_binding_check_request(L, 1);
  lua_Integer sent = luaL_checkinteger(L, 2);
  size_t len;

  evl_request_bytes(r, &len);
  luaL_argcheck(L, sent >= 0 && (size_t)sent <= len, 2, "out of range");
  evl_request_sent(r, (size_t)sent);
  return 0;
}

/* request:size() -> how many bytes are still to be sent */
static int request_size(lua_State *L) {
  size_t len;

  evl_request_bytes(evl_binding_check_request(L, 1), &len);
  lua_pushinteger(L, (lua_Integer)len);
  return 1;
}

void evl_binding_open_request(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"command", request_command}, {"entries", request_entries},
      {"clear", request_clear},     {"bytes", request_bytes},
      {"sent", request_sent},       {"encoded", request_encoded},
      {"size", request_size},       {NULL, NULL},
  };
  static const luaL_Reg constructors[] = {
      {"request", request_new},
      {"head", request_head},
      {"arguments", request_arguments},
      {NULL, NULL},
  };

  evl_binding_new_class(L, CLASS, methods, request_gc);
  evl_binding_set_functions(L, constructors);
}
