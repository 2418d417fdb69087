/* Between a test and malloc.
 *
 * As a rule this takes the place of malloc for the whole process, with what
 * hiredis, Lua and libc itself allocate. Where a sanitizer has that place
 * (ALLOCATOR_WRAPS), ld puts it between malloc and the test's own objects only:
 * the core and the binding, but no shared library. */
#include "allocator.h"

#include <malloc.h>
#include <stdlib.h>

static volatile size_t live; /* to the compiler, malloc changes nothing */
static size_t largest;
static long until_refused = -1; /* counts down; negative: none is */
static long to_refuse, refused;

#ifdef ALLOCATOR_WRAPS
#define OURS(name) __wrap_##name
#define THEIRS(name) __real_##name
#else
#define OURS(name) name
#define THEIRS(name) __libc_##name
#endif

#define VISIBLE __attribute__((visibility("default")))

void *THEIRS(malloc)(size_t size);
void *THEIRS(calloc)(size_t count, size_t size);
void *THEIRS(realloc)(void *p, size_t size);
void THEIRS(free)(void *p);
VISIBLE void *OURS(malloc)(size_t size);
VISIBLE void *OURS(calloc)(size_t count, size_t size);
VISIBLE void *OURS(realloc)(void *p, size_t size);
VISIBLE void OURS(free)(void *p);

static int refuse(size_t size) {
  if (size > largest) largest = size;
  if (until_refused < 0) return 0;
  if (until_refused > 0) {
    until_refused--;
    return 0;
  }
  refused++;
  if (--to_refuse == 0) until_refused = -1;
  return 1;
}

static void *taken(void *p) {
  if (p != NULL) live += malloc_usable_size(p);
  return p;
}

void *OURS(malloc)(size_t size) {
  return refuse(size) ? NULL : taken(THEIRS(malloc)(size));
}

void *OURS(calloc)(size_t count, size_t size) {
  return refuse(count * size) ? NULL : taken(THEIRS(calloc)(count, size));
}

void *OURS(realloc)(void *p, size_t size) {
  size_t before = p != NULL ? malloc_usable_size(p) : 0;
  void *moved = refuse(size) ? NULL : THEIRS(realloc)(p, size);

  if (moved != NULL || size == 0) live -= before;
  return taken(moved);
}

void OURS(free)(void *p) {
  if (p != NULL) live -= malloc_usable_size(p);
  THEIRS(free)(p);
}

int allocator_works(void) {
  size_t before = live;
  void *volatile p = malloc(1);
  int works = live != before;

  free(p);
  return works;
}

size_t allocator_live(void) { return live; }

void allocator_refuse(long nth, long count) {
  refused = 0;
  to_refuse = count;
  until_refused = nth;
}

long allocator_relent(void) {
  until_refused = -1;
  return refused;
}

void *allocator_pass(void *p, size_t size) {
  if (size > 0) return THEIRS(realloc)(p, size);
  THEIRS(free)(p);
  return NULL;
}

size_t allocator_largest(void) {
  size_t most = largest;

  largest = 0;
  return most;
}
