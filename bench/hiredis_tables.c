/* hiredis's reader straight into Lua tables, as hiredis-py does it for Python:
 * a module with one function, build(bytes), which makes of a reply of XRANGE
 * what the library's decoder makes. Only to measure (parse_tables.lua): no
 * memory is raised through hiredis, and a reply that is cut off is forgotten.
 */
#include <hiredis/hiredis.h>
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

enum { NAMES = 32, LONGEST_NAME = 64, PIECE = 16 * 1024 };

/* On the stack from `base` on: the list, "id", "fields", and the names of the
 * entry before. Behind them the entry at hand, "fields", its fields, a name. */
static struct {
  lua_State *L;
  int base, entries;
  size_t lens[NAMES];
  char names[NAMES][LONGEST_NAME];
} at;

#if HIREDIS_MAJOR >= 1
typedef size_t array_size;
#else
typedef int array_size;
#endif

static void make_name(int n, const char *s, size_t len) {
  lua_State *L = at.L;

  if (n >= NAMES || len > LONGEST_NAME) {
    lua_pushlstring(L, s, len);
    return;
  }
  if (at.lens[n] != len || memcmp(at.names[n], s, len) != 0) {
    lua_pushlstring(L, s, len);
    lua_replace(L, at.base + 3 + n);
    at.lens[n] = len;
    memcpy(at.names[n], s, len);
  }
  lua_pushvalue(L, at.base + 3 + n);
}

static void *make_string(const redisReadTask *task, char *s, size_t len) {
  const redisReadTask *parent = task->parent;
  lua_State *L = at.L;

  if (parent == NULL || parent->parent == NULL || s[len] != '\r') return NULL;
  if (parent->parent->parent == NULL) {
    lua_createtable(L, 0, 2);
    lua_pushvalue(L, at.base + 1);
    lua_pushlstring(L, s, len);
    lua_rawset(L, -3);
  } else if (task->idx % 2 == 0) {
    make_name((int)task->idx / 2, s, len);
  } else {
    lua_pushlstring(L, s, len);
    lua_rawset(L, -3);
    if (task->idx == (int)parent->elements - 1) {
      lua_rawset(L, -3);
      lua_rawseti(L, at.base, ++at.entries);
    }
  }
  return &at;
}

static void *make_array(const redisReadTask *task, array_size len) {
  lua_State *L = at.L;

  if (task->parent == NULL) {
    lua_createtable(L, (int)len, 1);
    lua_replace(L, at.base);
  } else if (task->parent->parent != NULL) {
    lua_pushvalue(L, at.base + 2);
    lua_createtable(L, 0, (int)len / 2);
  }
  return &at;
}

static void *make_integer(const redisReadTask *task, long long i) {
  (void)task, (void)i;
  return NULL;
}
static void *make_nil(const redisReadTask *task) {
  (void)task;
  return NULL;
}
static void free_nothing(void *object) { (void)object; }

static redisReplyObjectFunctions functions = {.createString = make_string,
                                              .createArray = make_array,
                                              .createInteger = make_integer,
                                              .createNil = make_nil,
                                              .freeObject = free_nothing};

static int build(lua_State *L) {
  static redisReader *reader;
  size_t len, i, piece;
  const char *bytes = luaL_checklstring(L, 1, &len);
  void *reply = NULL;

  if (reader == NULL) {
    reader = redisReaderCreateWithFunctions(&functions);
    reader->maxbuf = 0; /* it keeps its memory */
  }
  luaL_checkstack(L, NAMES + 20, NULL);
  lua_settop(L, 1);
  at.L = L;
  at.base = 2;
  at.entries = 0;
  lua_pushnil(L);
  lua_pushliteral(L, "id");
  lua_pushliteral(L, "fields");
  for (i = 0; i < NAMES; i++) {
    lua_pushnil(L);
    at.lens[i] = LONGEST_NAME + 1;
  }
  for (i = 0; i < len; i += piece) {
    piece = len - i < PIECE ? len - i : PIECE;
    redisReaderFeed(reader, bytes + i, piece);
    if (redisReaderGetReply(reader, &reply) != REDIS_OK)
      return luaL_error(L, "no page");
  }
  lua_settop(L, at.base);
  return 1;
}

int luaopen_hiredis_tables(lua_State *L);
int luaopen_hiredis_tables(lua_State *L) {
  lua_pushcfunction(L, build);
  return 1;
}
