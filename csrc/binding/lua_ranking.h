/* In which order the fields of entries are encoded. */
#ifndef EVL_LUA_RANKING_H
#define EVL_LUA_RANKING_H

#include "eventlog.h"

/* How the fields of a map were sorted. Those of one call's entries have the
 * same names in the same order, as a rule, and need not be compared again. A
 * name is known by its address: it is a string of the caller's entries, which
 * stay as they are during the call. */
enum { EVL_BINDING_RANKED = 16 };

typedef struct evl_binding_ranking {
  size_t count;                          /* 0: none is known */
  const char *names[EVL_BINDING_RANKED]; /* in Lua's order */
  unsigned char
      ranks[EVL_BINDING_RANKED]; /* where each of these is among the sorted */
} evl_binding_ranking;

/* Sorts the fields of an entry: as those of the entry before, if they are
 * alike; else notes how, if they are few and known is not NULL. */
void evl_binding_sort_fields(evl_field *fields, size_t count, int alike,
                             evl_binding_ranking *known);

#endif
