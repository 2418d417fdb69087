/* eventlog.core's socket: a connection whose waiting is left to Lua. */
#include "lua_decoder.h"
#include "lua_open.h"
#include "lua_request.h"

typedef struct lua_socket {
  evl_binding_object object;
  evl_socket *socket; /* NULL once closed */
  evl_spin spin;
} lua_socket;

static const evl_binding_class class_ = {"eventlog.socket", sizeof(lua_socket)};

static lua_socket *check(lua_State *L) {
  return evl_binding_check_object(L, 1, &class_);
}

static int push_closed(lua_State *L) {
  return evl_binding_push_status(L, EVL_ECLOSED, NULL);
}

/* close(), __gc: idempotent */
static int socket_close(lua_State *L) {
  lua_socket *self = check(L);

  evl_socket_free(self->socket);
  self->socket = NULL;
  return 0;
}

/* What a status means to Lua; EVL_AGAIN: false, and what to wait for, "r" or
 * "w". */
static int push_status(lua_State *L, const lua_socket *self, int status,
                       const char *why) {
  const char wants = status == EVL_AGAIN ? evl_socket_wants(self->socket) : 0;

  if (wants == 0) return evl_binding_push_status(L, status, why);
  lua_pushboolean(L, 0);
  lua_pushlstring(L, &wants, 1);
  return 2;
}

/* Both constructors: the socket, or nil, kind, why. */
static int push_connected(lua_State *L, int status, const char *why) {
  return status == EVL_OK ? 1 : evl_binding_push_status(L, status, why);
}

/* addresses(host) -> a list of them, to be tried in that order, or nil, kind,
 * why */
static int socket_addresses(lua_State *L) {
  const char *host = luaL_checkstring(L, 1);
  char why[EVL_WHY_SIZE] = "";
  evl_addresses list;
  size_t i;
  int status = evl_host_resolve(host, &list, why);

  if (status != EVL_OK) return evl_binding_push_status(L, status, why);
  lua_createtable(L, (int)list.count, 0);
  for (i = 0; i < list.count; i++) {
    lua_pushstring(L, list.text[i]);
    lua_rawseti(L, -2, (int)i + 1);
  }
  return 1;
}

/* tcp(address, port) -> socket that is connecting, or nil, kind, why */
static int socket_tcp(lua_State *L) {
  const char *address = luaL_checkstring(L, 1);
  int port = (int)luaL_checkinteger(L, 2);
  lua_socket *self = evl_binding_new_object(L, &class_);
  char why[EVL_WHY_SIZE] = "";

  return push_connected(L, evl_socket_tcp(address, port, &self->socket, why),
                        why);
}

/* unix(path) -> the same; false: the server's backlog is full */
static int socket_unix(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lua_socket *self = evl_binding_new_object(L, &class_);
  char why[EVL_WHY_SIZE] = "";

  return push_connected(L, evl_socket_unix(path, &self->socket, why), why);
}

/* silent() -> socket that nothing ever comes from, or nil, kind, why */
static int socket_silent(lua_State *L) {
  lua_socket *self = evl_binding_new_object(L, &class_);
  char why[EVL_WHY_SIZE] = "";

  return push_connected(L, evl_socket_silent(&self->socket, why), why);
}

/* socket:fd() -> its descriptor, nil once closed */
static int socket_fd(lua_State *L) {
  lua_socket *self = check(L);

  if (self->socket == NULL) return 0;
  lua_pushinteger(L, evl_socket_fd(self->socket));
  return 1;
}

/* socket:finish() -> true: connected; false, mode: not yet, wait for that ("r"
 * or "w"); or nil, kind, why */
static int socket_finish(lua_State *L) {
  lua_socket *self = check(L);
  char why[EVL_WHY_SIZE] = "";
  int status;

  if (self->socket == NULL) return push_closed(L);
  status = evl_socket_finish(self->socket, why);
  return push_status(L, self, status, why);
}

/* socket:send(request) -> true, left: some of it, or all, is sent, and so many
 * bytes are left; false, mode: wait for that; or nil, kind, why */
static int socket_send(lua_State *L) {
  lua_socket *self = check(L);
  evl_request *r = evl_binding_check_request(L, 2);
  size_t left;
  int status;

  if (self->socket == NULL) return push_closed(L);
  status = evl_socket_send(self->socket, r);
  if (status != EVL_OK)
    return push_status(L, self, status, evl_socket_error(self->socket));
  evl_request_bytes(r, &left);
  lua_pushboolean(L, 1);
  lua_pushinteger(L, (lua_Integer)left);
  return 2;
}

/* socket:set_spin(us): how long reply() looks before it sleeps; negative:
 * learned */
static int socket_set_spin(lua_State *L) {
  lua_socket *self = check(L);

  evl_spin_init(&self->spin, (long)luaL_checkinteger(L, 2),
                self->socket != NULL && evl_socket_is_local(self->socket));
  return 0;
}

/* socket:reply(decoder [, deadline [, least]]) -> the next reply's type, as
 * decoder:next() has it; true: some bytes of it came; false, mode: none, wait
 * for that; or nil, kind, why. With a deadline, a time of now(), it waits
 * itself, blocks, and false means: not by then, or a signal came. */
static int socket_reply(lua_State *L) {
  lua_socket *self = check(L);
  evl_decoder *d = evl_binding_check_decoder(L, 2);
  int came = 0, status = evl_decoder_next(d);

  if (status == EVL_AGAIN) {
    if (self->socket == NULL) return push_closed(L);
    if (lua_isnoneornil(L, 3))
      status = evl_socket_receive(self->socket, d);
    else
      status = evl_socket_await(self->socket, d, &self->spin,
                                (size_t)luaL_optinteger(L, 4, 0),
                                (double)luaL_checknumber(L, 3));
    came = status == EVL_OK;
    if (came) status = evl_decoder_next(d);
  }
  if (status == EVL_OK) return evl_binding_push_type(L, d);
  if (came && status == EVL_AGAIN) status = EVL_OK;
  return push_status(L, self, status,
                     status == EVL_EIO ? evl_socket_error(self->socket)
                                       : evl_decoder_error(d));
}

/* socket:last_read_at() -> when bytes came last, of now() */
static int socket_last_read_at(lua_State *L) {
  lua_socket *self = check(L);

  lua_pushnumber(
      L, self->socket ? (lua_Number)evl_socket_last_read_at(self->socket) : 0);
  return 1;
}

/* socket:pending() -> how many bytes reply() has, although the descriptor need
 * not be readable */
static int socket_pending(lua_State *L) {
  lua_socket *self = check(L);

  lua_pushinteger(
      L, self->socket ? (lua_Integer)evl_socket_pending(self->socket) : 0);
  return 1;
}

/* socket:idle() -> whether it is open, and nothing has come unasked */
static int socket_idle(lua_State *L) {
  lua_socket *self = check(L);

  lua_pushboolean(L, self->socket != NULL && evl_socket_idle(self->socket));
  return 1;
}

/* socket:shutdown(): wakes the coroutine that waits for it; close it afterwards
 */
static int socket_shutdown(lua_State *L) {
  lua_socket *self = check(L);

  if (self->socket != NULL) evl_socket_shutdown(self->socket);
  return 0;
}

/* wait(fd, mode, seconds or nil) -> ready; false also if a signal came.
 * mode: "r", "w", "rw" (either) */
static int socket_wait(lua_State *L) {
  int fd = (int)luaL_checkinteger(L, 1);
  const char *mode = luaL_checkstring(L, 2);
  double seconds = lua_isnoneornil(L, 3) ? -1 : (double)luaL_checknumber(L, 3);

  lua_pushboolean(
      L, evl_socket_wait(fd, mode[0] && mode[1] ? 'b' : *mode, seconds));
  return 1;
}

void evl_binding_open_socket(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"fd", socket_fd},
      {"finish", socket_finish},
      {"send", socket_send},
      {"set_spin", socket_set_spin},
      {"reply", socket_reply},
      {"last_read_at", socket_last_read_at},
      {"idle", socket_idle},
      {"shutdown", socket_shutdown},
      {"close", socket_close},
      {"pending", socket_pending},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"tcp", socket_tcp},
      {"unix", socket_unix},
      {"silent", socket_silent},
      {"wait", socket_wait},
      {"addresses", socket_addresses},
      {NULL, NULL},
  };

  evl_binding_new_class(L, &class_, methods, socket_close);
  evl_binding_set_functions(L, functions);
}
