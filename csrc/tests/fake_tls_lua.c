/* fake_tls.h for a spec: puts it on the sockets that eventlog.core makes. The
 * core that is linked in here is another copy of the module's. */
#include "fake_tls.h"

#include <lauxlib.h>
#include <lua.h>

int luaopen_fake_tls(lua_State *L);

/* use(socket): before it is connected */
static int use(lua_State *L) {
  /* As lua_socket.c has it: what it is, and the socket. */
  struct lua_socket {
    const void *is_a;
    evl_socket *socket;
  } *self = luaL_checkudata(L, 1, "eventlog.socket");

  if (!fake_tls_use(self->socket)) return luaL_error(L, "not enough memory");
  return 0;
}

static void set_count(lua_State *L, const char *name, long count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

/* counts() -> fake_tls_counts */
static int counts(lua_State *L) {
  lua_newtable(L);
  set_count(L, "handshakes", fake_tls_counted.handshakes);
  set_count(L, "tickets", fake_tls_counted.tickets);
  set_count(L, "reads_that_want_write", fake_tls_counted.reads_that_want_write);
  set_count(L, "writes_that_want_read", fake_tls_counted.writes_that_want_read);
  set_count(L, "waits", fake_tls_counted.waits);
  return 1;
}

int luaopen_fake_tls(lua_State *L) {
  lua_newtable(L);
  lua_pushcfunction(L, use);
  lua_setfield(L, -2, "use");
  lua_pushcfunction(L, counts);
  lua_setfield(L, -2, "counts");
  return 1;
}
