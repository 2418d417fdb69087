/* What is asked of the system: the time, which process this is, random bytes.
 */
#define _DEFAULT_SOURCE
#define _DARWIN_C_SOURCE /* arc4random_buf */
#include "eventlog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/syscall.h>
#endif

double evl_now(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double evl_time(void) {
  struct timespec t;

  (void)clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

#if defined(MADV_WIPEONFORK) && defined(__GNUC__)

/* getpid() is a system call, and would be one of four that a lone add makes. A
 * page that the system empties in a child, however that was forked, keeps the
 * answer. It lies among the module's own data, and goes with that. */
enum { LARGEST_PAGE = 64 * 1024 };
static char room[2 * LARGEST_PAGE];

/* Where the page is; NULL if the system cannot empty it. Some emulators
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

/* --- random bytes -------------------------------------------------------- */

#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) ||      \
    defined(__NetBSD__)

int evl_random(void *bytes, size_t len, char *why) {
  (void)why;
  arc4random_buf(bytes, len);
  return EVL_OK;
}

#else

/* How many of them the system call gave: it needs no descriptor. 0 if the
 * kernel (Linux before 3.17) or a sandbox has none. */
static size_t ask_kernel(char *bytes, size_t len) {
  size_t got = 0;

#ifdef SYS_getrandom
  while (got < len) {
    long n = syscall(SYS_getrandom, bytes + got, len - got, 0);
    if (n > 0)
      got += (size_t)n;
    else if (n == 0 || errno != EINTR)
      break;
  }
#else
  (void)bytes;
  (void)len;
#endif
  return got;
}

int evl_random(void *bytes, size_t len, char *why) {
  size_t got = ask_kernel(bytes, len);
  int fd, error = 0;

  if (got == len) return EVL_OK;
  fd = open("/dev/urandom", O_RDONLY | O_CLOEXEC);
  if (fd < 0) error = errno;
  while (error == 0 && got < len) {
    ssize_t n = read(fd, (char *)bytes + got, len - got);
    if (n > 0)
      got += (size_t)n;
    else if (n == 0 || errno != EINTR)
      error = n < 0 ? errno : EIO;
  }
  if (fd >= 0) (void)close(fd);
  if (error == 0) return EVL_OK;
  snprintf(why, EVL_WHY_SIZE, "no random bytes: /dev/urandom: %s",
           strerror(error));
  return EVL_EUNSUPPORTED;
}

#endif
