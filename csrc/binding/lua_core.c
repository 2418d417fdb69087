/* The module eventlog.core: classes, and functions that need no object. */
#include "lua_binding.h"
#include "lua_version.h"

#include <string.h>

/* --- what the classes share ---------------------------------------------- */

void *evl_binding_new_object(lua_State *L, size_t size,
                             const char *class_name) {
  char *object = lua_newuserdata(L, size);
  size_t i;

  for (i = 0; i < size; i++)
    object[i] = 0;
  luaL_getmetatable(L, class_name);
  lua_setmetatable(L, -2);
  return object;
}

void evl_binding_set_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name != NULL; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void evl_binding_new_class(lua_State *L, const char *class_name,
                           const luaL_Reg *methods, lua_CFunction gc) {
  luaL_newmetatable(L, class_name);
  lua_pushstring(L, class_name);
  lua_setfield(L, -2, "__name");
  lua_pushcfunction(L, gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  evl_binding_set_functions(L, methods);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

int evl_binding_push_status(lua_State *L, int status, const char *why) {
  if (status == EVL_OK || status == EVL_AGAIN) {
    lua_pushboolean(L, status == EVL_OK);
    return 1;
  }
  if (status == EVL_ENOMEM) return luaL_error(L, "not enough memory");
  lua_pushnil(L);
  lua_pushstring(L, evl_error_kind(status));
  if (why == NULL || *why == '\0')
    lua_pushstring(L, evl_strerror(status));
  else
    lua_pushfstring(L, "%s: %s", evl_strerror(status), why);
  return 3;
}

/* --- messages ------------------------------------------------------------ */

/* What messages show of a string, at most. */
enum { QUOTED = 200 };

/* How many bytes the UTF-8 character at s has; 0 where there is none, or only
 * half of one, or a control character. */
static size_t character(const unsigned char *s, size_t len) {
  size_t more = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1, i;

  if (*s < 0x80) return *s >= ' ' && *s != 0x7f;
  if (*s < 0xc2 || *s > 0xf4 || more >= len) return 0;
  if (*s == 0xc2 && s[1] < 0xa0) return 0;
  for (i = 1; i <= more; i++)
    if ((s[i] & 0xc0) != 0x80) return 0;
  return more + 1;
}

/* Writes a byte that is no text as Lua does, \n or \000, at p; returns where
 * that ends. */
static char *put_escape(char *p, unsigned char c) {
  static const char names[] = "abtnvfr"; /* of \a to \r */

  *p++ = '\\';
  if (c >= '\a' && c <= '\r') {
    *p++ = names[c - '\a'];
    return p;
  }
  *p++ = (char)('0' + c / 100);
  *p++ = (char)('0' + c / 10 % 10);
  *p++ = (char)('0' + c % 10);
  return p;
}

void evl_binding_push_quoted(lua_State *L, const char *text, size_t len) {
  const unsigned char *s = (const unsigned char *)text;
  char quoted[4 * QUOTED + sizeof "\"xxx\"..."], *p = quoted;
  size_t i = 0;

  *p++ = '"';
  while (i < len && i < QUOTED) {
    size_t bytes = character(s + i, len - i);

    if (bytes == 0) p = put_escape(p, s[i++]);
    if (bytes == 1 && (s[i] == '"' || s[i] == '\\')) *p++ = '\\';
    for (; bytes > 0; bytes--)
      *p++ = text[i++];
  }
  *p++ = '"';
  if (i < len) {
    memcpy(p, "...", 3);
    p += 3;
  }
  lua_pushlstring(L, quoted, (size_t)(p - quoted));
}

/* quote(string) -> the string as messages show it: quoted, on one line, without
 * control bytes; cut where it is long */
static int core_quote(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len);

  evl_binding_push_quoted(L, s, len);
  return 1;
}

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

/* id(any) -> "<ms>-<seq>", or nil where it is no id */
static int core_id(lua_State *L) {
  evl_id id;

  if (to_id(L, 1, &id) != EVL_OK) return 0;
  return push_id(L, id);
}

/* id_next(id), id_prev(id) -> id, or nil where there is none */
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

/* --- the rest ------------------------------------------------------------ */

static void set_string(lua_State *L, const char *key, const char *value) {
  if (value == NULL) return;
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_integer(lua_State *L, const char *key, int value, int none) {
  if (value == none) return;
  lua_pushinteger(L, value);
  lua_setfield(L, -2, key);
}

/* A URL's parts live in a userdata, because pushing them can raise. */
#define URL_CLASS "eventlog.url"

static int url_gc(lua_State *L) {
  evl_url_deinit(luaL_checkudata(L, 1, URL_CLASS));
  return 0;
}

/* url(string) -> { host, port, path, username, password, db, tls }
 *             or nil, why */
static int core_url(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len), *why;
  evl_url *url = evl_binding_new_object(L, sizeof *url, URL_CLASS);
  int status = evl_url_parse(s, len, url, &why);

  if (status == EVL_ENOMEM) return luaL_error(L, "not enough memory");
  if (status != EVL_OK) {
    lua_pushnil(L);
    lua_pushstring(L, why);
    return 2;
  }
  lua_newtable(L);
  set_string(L, "host", url->host);
  set_string(L, "path", url->path);
  set_string(L, "username", url->username);
  set_string(L, "password", url->password);
  set_integer(L, "port", url->port, 0);
  set_integer(L, "db", url->db, -1);
  lua_pushboolean(L, url->tls);
  lua_setfield(L, -2, "tls");
  return 1;
}

/* now() -> seconds on a clock that only goes forward */
static int core_now(lua_State *L) {
  lua_pushnumber(L, (lua_Number)evl_now());
  return 1;
}

/* pid() -> this process */
static int core_pid(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)evl_process_id());
  return 1;
}

/* thread() -> the calling coroutine; unlike coroutine.running() of Lua 5.1,
 * also the main one */
static int core_thread(lua_State *L) {
  lua_pushthread(L);
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

/* reverse(list) -> the same list, its last item first now */
static int core_reverse(lua_State *L) {
  int i, j;

  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  for (i = 1, j = (int)lua_rawlen(L, 1); i < j; i++, j--) {
    lua_rawgeti(L, 1, i);
    lua_rawgeti(L, 1, j);
    lua_rawseti(L, 1, i);
    lua_rawseti(L, 1, j);
  }
  return 1;
}

static const luaL_Reg functions[] = {
    {"id", core_id},
    {"id_next", core_id_next},
    {"id_prev", core_id_prev},
    {"id_compare", core_id_compare},
    {"url", core_url},
    {"now", core_now},
    {"pid", core_pid},
    {"quote", core_quote},
    {"random", core_random},
    {"reverse", core_reverse},
    {"thread", core_thread},
    {"key_tag", core_key_tag},
    {"slot_tag", core_slot_tag},
    {NULL, NULL},
};

static const luaL_Reg no_methods[] = {{NULL, NULL}};

/* Raises if this module is built for another Lua than the one that has loaded
 * it. Nothing is used here but what is the same in each Lua: luaL_error(), and
 * arguments, but no pseudo-index. Lua 5.2 and later pass the module's file. */
static void check_lua(lua_State *L) {
  const int running = evl_lua_version_running(), minor = running % 100;
  const int has_file = lua_type(L, 2) == LUA_TSTRING;

  if (running == LUA_VERSION_NUM || running == 0) return;
  luaL_error(L,
             running == 502 || running > 504
                 ? "eventlog.core%s%s%s is built for Lua 5.%d, and this is Lua "
                   "5.%d%s: eventlog runs on Lua 5.1, 5.3, 5.4 and LuaJIT"
                 : "eventlog.core%s%s%s is built for Lua 5.%d, and this is Lua "
                   "5.%d%s: build it for this one, with luarocks --lua-version "
                   "5.%d make or cmake -DEVENTLOG_LUA=5.%d",
             has_file ? " (" : "", has_file ? lua_tostring(L, 2) : "",
             has_file ? ")" : "", LUA_VERSION_NUM % 100, minor,
             running == 501 ? " or LuaJIT" : "", minor, minor);
}

#if defined(_WIN32)
__declspec(dllexport)
#elif defined(__GNUC__)
__attribute__((visibility("default")))
#endif
    int luaopen_eventlog_core(lua_State *L);

int luaopen_eventlog_core(lua_State *L) {
  check_lua(L);
  evl_binding_new_class(L, URL_CLASS, no_methods, url_gc);
  lua_newtable(L);
  evl_binding_set_functions(L, functions);
  evl_binding_open_request(L);
  evl_binding_open_decoder(L);
  evl_binding_open_socket(L);
  evl_binding_open_timer(L);
  lua_pushliteral(L, EVL_VERSION);
  lua_setfield(L, -2, "VERSION");
  return 1;
}
