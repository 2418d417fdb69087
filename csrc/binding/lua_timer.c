/* eventlog.core's timer: a descriptor that becomes readable at a time. */
#include "lua_binding.h"
#include "lua_open.h"

typedef struct lua_timer {
  evl_binding_object object;
  evl_timer *timer; /* NULL once closed */
} lua_timer;

static const evl_binding_class class_ = {"eventlog.timer", sizeof(lua_timer)};

static lua_timer *check(lua_State *L) {
  return evl_binding_check_object(L, 1, &class_);
}

/* close(), __gc: idempotent */
static int timer_close(lua_State *L) {
  lua_timer *self = check(L);

  evl_timer_free(self->timer);
  self->timer = NULL;
  return 0;
}

/* timer() -> one that is off, or nil, kind, why */
static int timer_new(lua_State *L) {
  lua_timer *self = evl_binding_new_object(L, &class_);
  char why[EVL_WHY_SIZE] = "";
  int status = evl_timer_new(&self->timer, why);

  return status == EVL_OK ? 1 : evl_binding_push_status(L, status, why);
}

/* timer:fd() -> its descriptor, nil once closed */
static int timer_fd(lua_State *L) {
  lua_timer *self = check(L);

  if (self->timer == NULL) return 0;
  lua_pushinteger(L, evl_timer_fd(self->timer));
  return 1;
}

/* timer:set(seconds): readable then, and not before; nil: never */
static int timer_set(lua_State *L) {
  lua_timer *self = check(L);
  double seconds = lua_isnoneornil(L, 2) ? -1 : (double)luaL_checknumber(L, 2);

  if (self->timer != NULL) evl_timer_set(self->timer, seconds);
  return 0;
}

void evl_binding_open_timer(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"fd", timer_fd},
      {"set", timer_set},
      {"close", timer_close},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {{"timer", timer_new}, {NULL, NULL}};

  evl_binding_new_class(L, &class_, methods, timer_close);
  evl_binding_set_functions(L, functions);
}
