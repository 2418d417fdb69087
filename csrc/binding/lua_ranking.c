#include <string.h>

#include "lua_ranking.h"

void evl_binding_sort_fields(evl_field *fields, size_t count, int alike,
                             evl_binding_ranking *known) {
  evl_field sorted[EVL_BINDING_RANKED];
  size_t i, j;

  if (alike && count == known->count) {
    for (i = 0; i < count; i++)
      sorted[known->ranks[i]] = fields[i];
    memcpy(fields, sorted, count * sizeof *fields);
    return;
  }
  if (known == NULL) {
    evl_fields_sort(fields, count);
    return;
  }
  known->count = count <= EVL_BINDING_RANKED ? count : 0;
  for (i = 0; i < known->count; i++)
    known->names[i] = fields[i].name;
  evl_fields_sort(fields, count);
  for (i = 0; i < known->count; i++)
    for (j = 0; j < count; j++)
      if (known->names[i] == fields[j].name) known->ranks[i] = (unsigned char)j;
}
