/* What is asked of the system: the time, and which process this is. */
#define _DEFAULT_SOURCE
#include "eventlog.h"

#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

double evl_now(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#ifdef MADV_WIPEONFORK

/* getpid() is a system call, and would be one of four that a lone add makes. A
 * page that the system empties in a child, however that was forked, keeps the
 * answer. NULL: not tried yet; MAP_FAILED: this system cannot. */
static volatile long *volatile page;

static volatile long *page_wiped_on_fork(void) {
  size_t size = sizeof *page; /* the system makes a page of it */
  void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

  if (p != MAP_FAILED && madvise(p, size, MADV_WIPEONFORK) != 0) {
    (void)munmap(p, size);
    p = MAP_FAILED;
  }
  return p;
}

long evl_process_id(void) {
  long id;

  if (page == NULL) page = page_wiped_on_fork(); /* twice, from two threads */
  if (page == (void *)MAP_FAILED) return getpid();
  id = *page;
  if (id == 0) *page = id = getpid();
  return id;
}

#ifdef __GNUC__
/* The module is unloaded with its last Lua state. */
__attribute__((destructor)) static void forget_page(void) {
  if (page != NULL && page != (void *)MAP_FAILED)
    (void)munmap((void *)page, sizeof *page);
  page = NULL;
}
#endif

#else

long evl_process_id(void) { return getpid(); }

#endif
