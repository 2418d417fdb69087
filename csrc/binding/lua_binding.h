/* What the files of the Lua binding share. Each class has a file of its own:
 * it checks arguments, calls the core, and pushes the result. */
#ifndef EVL_LUA_BINDING_H
#define EVL_LUA_BINDING_H

#include "eventlog.h"
#include "lua_compat.h"

/* A class of userdata, each of which begins with an evl_binding_object. Its
 * address tells what is of that class, whatever another library's userdata
 * holds: to compare metatables, as luaL_checkudata() does, takes four times as
 * long, and each method begins with this. */
typedef struct evl_binding_class {
  const char *name;
  size_t size; /* of an object */
} evl_binding_class;

typedef struct evl_binding_object {
  const evl_binding_class *is_a;
} evl_binding_object;

/* A userdata of this class, zeroed behind its first member: what is acquired
 * next, its __gc frees. */
void *evl_binding_new_object(lua_State *L, const evl_binding_class *class_);
/* The object at this index; raises if it is none of this class. */
void *evl_binding_check_object(lua_State *L, int index,
                               const evl_binding_class *class_);
/* Registers a class: its methods, and __gc. */
void evl_binding_new_class(lua_State *L, const evl_binding_class *class_,
                           const luaL_Reg *methods, lua_CFunction gc);
/* Sets functions in the table at the top of the stack. */
void evl_binding_set_functions(lua_State *L, const luaL_Reg *functions);

/* Pushes a string as messages show it: in quotes, on one line, without control
 * bytes and what is no UTF-8, and cut if it is long. */
void evl_binding_push_quoted(lua_State *L, const char *text, size_t len);

/* Pushes what a status means to Lua, and returns how many values that is:
 * true for EVL_OK, false for EVL_AGAIN, else nil, kind, why (why may be "" or
 * NULL: the code's own text). No memory is raised, as everywhere in Lua. */
int evl_binding_push_status(lua_State *L, int status, const char *why);

#endif
