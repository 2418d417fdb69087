/* Between a test and malloc: counts memory, and refuses it. */
#ifndef EVL_ALLOCATOR_H
#define EVL_ALLOCATOR_H

#include <stddef.h>

/* Whether it is in malloc's place: valgrind may have taken that. */
int allocator_works(void);

/* Bytes in use now: compare two of them. */
size_t allocator_live(void);

/* Refuses `count` allocations, from the nth on (0: the next one). They are
 * counted from here. */
void allocator_refuse(long nth, long count);
/* Refuses none any more. Returns how many it has. */
long allocator_relent(void);

/* As realloc, and with size 0 free: neither refused nor counted. */
void *allocator_pass(void *p, size_t size);

/* The largest allocation that was asked for since the last call. */
size_t allocator_largest(void);

#endif
