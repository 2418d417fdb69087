/* What the files of the decoder's class share. */
#ifndef EVL_LUA_DECODER_H
#define EVL_LUA_DECODER_H

#include "lua_binding.h"

/* The decoder at this index; raises if that is none. It is the userdata's. */
evl_decoder *evl_binding_check_decoder(lua_State *L, int index);
/* Pushes the type of the reply that the decoder holds; returns 1. */
int evl_binding_push_type(lua_State *L, const evl_decoder *d);
/* The reply that the decoder holds; of an array what comes before its items. */
evl_item evl_binding_first_item(const evl_decoder *d);
/* Pushes nil, "protocol", why: the reply is not what its reader expects.
 * Returns 3. */
int evl_binding_push_wrong_shape(lua_State *L);
/* Sets the methods that make tables of entries, in the table at the top of the
 * stack. */
void evl_binding_set_entries(lua_State *L);

#endif
