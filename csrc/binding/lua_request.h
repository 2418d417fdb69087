/* What the files of the request's class share. */
#ifndef EVL_LUA_REQUEST_H
#define EVL_LUA_REQUEST_H

#include "lua_binding.h"

typedef struct lua_request {
  evl_binding_object object;
  evl_request *request;
  evl_field *fields; /* the entry at hand */
  size_t capacity;
} lua_request;

/* The request at this index; raises if that is none. It is the userdata's. */
evl_request *evl_binding_check_request(lua_State *L, int index);
lua_request *evl_binding_check_lua_request(lua_State *L, int index);
/* Pushes an empty one. */
lua_request *evl_binding_push_request(lua_State *L);
/* Gives back the room for an entry's fields. */
void evl_binding_free_fields(lua_request *self);

/* request:entries() and arguments(): lua_fields.c says what they do. */
int evl_binding_request_entries(lua_State *L);
int evl_binding_arguments(lua_State *L);

#endif
