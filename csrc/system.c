/* What is asked of the system: the time, and which process this is. */
#define _DEFAULT_SOURCE
#include "eventlog.h"

#include <stdint.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

double evl_now(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(MADV_WIPEONFORK) && defined(__GNUC__)

/* getpid() is a system call, and would be one of four that a lone add makes. A
 * page that the system empties in a child, however that was forked, keeps the
 * answer. It lies among the module's own data, and goes with that. */
enum { LARGEST_PAGE = 64 * 1024 };
static char room[2 * LARGEST_PAGE];

/* Where the page is, or NULL where the system cannot empty it. Some emulators
 * take any advice and heed none: these take one that does not exist, too. */
static long *page_wiped_on_fork(void) {
  long size = sysconf(_SC_PAGESIZE);
  uintptr_t start = (uintptr_t)room;
  void *page;

  if (size <= 0 || size > LARGEST_PAGE) return NULL;
  page = room + ((uintptr_t)size - start % (uintptr_t)size);
  if (madvise(page, (size_t)size, -1) == 0 ||
      madvise(page, (size_t)size, MADV_WIPEONFORK) != 0)
    return NULL;
  return page;
}

/* Threads that come at once all find the same. */
long evl_process_id(void) {
  static long *page;
  static int tried;
  long id, *at;

  if (!__atomic_load_n(&tried, __ATOMIC_ACQUIRE)) {
    __atomic_store_n(&page, page_wiped_on_fork(), __ATOMIC_RELEASE);
    __atomic_store_n(&tried, 1, __ATOMIC_RELEASE);
  }
  at = __atomic_load_n(&page, __ATOMIC_ACQUIRE);
  if (at == NULL) return getpid();
  id = __atomic_load_n(at, __ATOMIC_RELAXED);
  if (id == 0) {
    id = getpid();
    __atomic_store_n(at, id, __ATOMIC_RELAXED);
  }
  return id;
}

#else

long evl_process_id(void) { return getpid(); }

#endif
