/* What the tests share: cmocka with what it needs first, and helpers. */
#ifndef EVL_TEST_SUPPORT_H
#define EVL_TEST_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "eventlog.h"

/* A literal as the two arguments (bytes, length); NULs in it count. */
#define LIT(s) (s), sizeof(s) - 1
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A copy of the bytes that ends where a page begins that nobody may touch, so
 * that reading over its end crashes. Good until the next call; len is at most
 * GUARDED_MAX. */
enum { GUARDED_MAX = 64 * 1024 };
const char *guarded(const char *bytes, size_t len);

/* The next of a fixed row of random numbers; *state is not 0. */
uint64_t next_random(uint64_t *state);

#endif
