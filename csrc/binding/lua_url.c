/* eventlog.core's url(): a URL taken apart. */
#include "lua_binding.h"
#include "lua_open.h"

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
typedef struct lua_url {
  evl_binding_object object;
  evl_url url;
} lua_url;

static const evl_binding_class class_ = {"eventlog.url", sizeof(lua_url)};

static int url_gc(lua_State *L) {
  lua_url *self = evl_binding_check_object(L, 1, &class_);

  evl_url_deinit(&self->url);
  return 0;
}

/* url(string) -> { host, port, path, username, password, db, tls }
 *             or nil, why */
static int core_url(lua_State *L) {
  size_t len;
  const char *s = luaL_checklstring(L, 1, &len), *why;
  lua_url *self = evl_binding_new_object(L, &class_);
  evl_url *url = &self->url;
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

void evl_binding_open_url(lua_State *L) {
  static const luaL_Reg no_methods[] = {{NULL, NULL}};
  static const luaL_Reg functions[] = {{"url", core_url}, {NULL, NULL}};

  evl_binding_new_class(L, &class_, no_methods, url_gc);
  evl_binding_set_functions(L, functions);
}
