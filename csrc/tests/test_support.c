#include "test_support.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

const char *guarded(const char *bytes, size_t len) {
  static char *end = NULL; /* where the guard page begins */

  if (end == NULL) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *start = mmap(NULL, GUARDED_MAX + page, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(start, MAP_FAILED);
    end = start + GUARDED_MAX;
    assert_int_equal(mprotect(end, page, PROT_NONE), 0);
  }
  assert_true(len <= GUARDED_MAX);
  if (len > 0) memcpy(end - len, bytes, len);
  return end - len;
}

uint64_t next_random(uint64_t *state) {
  *state ^= *state << 13;
  *state ^= *state >> 7;
  *state ^= *state << 17;
  return *state;
}
