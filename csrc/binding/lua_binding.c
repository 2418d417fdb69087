/* What the classes of eventlog.core share. */
#include "lua_binding.h"

#include <string.h>

void *evl_binding_new_object(lua_State *L, const evl_binding_class *class_) {
  evl_binding_object *object = lua_newuserdata(L, class_->size);

  memset(object, 0, class_->size);
  object->is_a = class_;
  luaL_getmetatable(L, class_->name);
  lua_setmetatable(L, -2);
  return object;
}

void *evl_binding_check_object(lua_State *L, int index,
                               const evl_binding_class *class_) {
  evl_binding_object *object = lua_touserdata(L, index);

  if (object == NULL || lua_rawlen(L, index) != class_->size ||
      object->is_a != class_) {
    luaL_checkudata(L, index, class_->name); /* says what there is instead */
    luaL_argerror(L, index, "another copy of eventlog.core has made it");
  }
  return object;
}

void evl_binding_set_functions(lua_State *L, const luaL_Reg *functions) {
  for (; functions->name != NULL; functions++) {
    lua_pushcfunction(L, functions->func);
    lua_setfield(L, -2, functions->name);
  }
}

void evl_binding_new_class(lua_State *L, const evl_binding_class *class_,
                           const luaL_Reg *methods, lua_CFunction gc) {
  luaL_newmetatable(L, class_->name);
  lua_pushstring(L, class_->name);
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
