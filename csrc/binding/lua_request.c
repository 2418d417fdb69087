/* eventlog.core's request: commands -> bytes; lua_fields.c has the entries. */
#include "lua_request.h"
#include "lua_open.h"

#include <stdlib.h>
#include <string.h>

static const evl_binding_class class_ = {"eventlog.request",
                                         sizeof(lua_request)};

lua_request *evl_binding_check_lua_request(lua_State *L, int index) {
  lua_request *self = evl_binding_check_object(L, index, &class_);

  if (self->request == NULL) luaL_argerror(L, index, "already collected");
  return self;
}

evl_request *evl_binding_check_request(lua_State *L, int index) {
  return evl_binding_check_lua_request(L, index)->request;
}

void evl_binding_free_fields(lua_request *self) {
  free(self->fields);
  self->fields = NULL;
  self->capacity = 0;
}

static int request_gc(lua_State *L) {
  lua_request *self = evl_binding_check_object(L, 1, &class_);

  evl_request_free(self->request);
  evl_binding_free_fields(self);
  self->request = NULL;
  return 0;
}

lua_request *evl_binding_push_request(lua_State *L) {
  lua_request *self = evl_binding_new_object(L, &class_);

  self->request = evl_request_new();
  if (self->request == NULL) luaL_error(L, "not enough memory");
  return self;
}

/* request() -> an empty request */
static int request_new(lua_State *L) {
  evl_binding_push_request(L);
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

/* Appends literal arguments. */
static void append_words(evl_request *r, const char *const *words) {
  for (; *words != NULL; words++)
    evl_request_string(r, *words, strlen(*words));
}

/* request:read(key, after, count [, block [, probed]]) -> how many replies that
 * has: appends XREAD of at most so many entries of a log that come after an id.
 * block: for how many milliseconds the server may wait for the first of them.
 * probed: behind it, XRANGE of the entry with that id, and XLEN, which
 * decoder:probe() takes. */
static int request_read(lua_State *L) {
  static const char *const read[] = {"XREAD", "COUNT", NULL},
                           *const streams[] = {"STREAMS", NULL},
                           *const blocks[] = {"BLOCK", NULL};
  evl_request *r = evl_binding_check_request(L, 1);
  size_t key_len, after_len;
  const char *key = luaL_checklstring(L, 2, &key_len);
  const char *after = luaL_checklstring(L, 3, &after_len);
  lua_Integer count = luaL_checkinteger(L, 4);
  int waits = !lua_isnoneornil(L, 5), probed = lua_toboolean(L, 6);
  int64_t block = waits ? (int64_t)luaL_checkinteger(L, 5) : 0;

  evl_request_begin(r, waits ? 8 : 6);
  append_words(r, read);
  evl_request_integer(r, (int64_t)count);
  if (waits) {
    append_words(r, blocks);
    evl_request_integer(r, block);
  }
  append_words(r, streams);
  evl_request_string(r, key, key_len);
  evl_request_string(r, after, after_len);
  if (probed) {
    static const char *const range[] = {"XRANGE", NULL}, *const length[] = {
                                                             "XLEN", NULL};

    evl_request_begin(r, 4);
    append_words(r, range);
    evl_request_string(r, key, key_len);
    evl_request_string(r, after, after_len);
    evl_request_string(r, after, after_len);
    evl_request_begin(r, 2);
    append_words(r, length);
    evl_request_string(r, key, key_len);
  }
  check_status(L, r);
  lua_pushinteger(L, probed ? 3 : 1);
  return 1;
}

/* head(name, ...) -> bytes, argc: a command's first arguments, encoded once
 * for request:entries */
static int request_head(lua_State *L) {
  int argc = lua_gettop(L);
  lua_request *self = evl_binding_push_request(L);
  const char *bytes;
  size_t len;

  lua_insert(L, 1);
  append_arguments(L, self->request, 2);
  bytes = evl_request_bytes(self->request, &len);
  lua_pushlstring(L, bytes, len);
  lua_pushinteger(L, argc);
  return 2;
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
  lua_request *self = evl_binding_check_lua_request(L, 1);

  evl_request_clear(self->request);
  if (self->capacity > FIELDS_KEPT) evl_binding_free_fields(self);
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
      {"command", request_command},
      {"read", request_read},
      {"entries", evl_binding_request_entries},
      {"encoded", request_encoded},
      {"clear", request_clear},
      {"bytes", request_bytes},
      {"sent", request_sent},
      {"size", request_size},
      {NULL, NULL},
  };
  static const luaL_Reg constructors[] = {
      {"request", request_new},
      {"head", request_head},
      {"arguments", evl_binding_arguments},
      {NULL, NULL},
  };

  evl_binding_new_class(L, &class_, methods, request_gc);
  evl_binding_set_functions(L, constructors);
}
