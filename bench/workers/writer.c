/* Writes what the workers read; nothing here is measured.
 *
 *   writer fill PORT KEY COUNT       as fast as it goes
 *   writer batches PORT KEY COUNT    in pipelines of 100; each entry's first
 *                                    field says when its pipeline began
 *   writer ticks PORT KEY COUNT      one a millisecond, stamped likewise
 *   writer rounds PORT KEY COUNT N   one each 200 µs, each to the next of the
 *                                    keys KEY1 ... KEYN
 *
 * But for fill it gives its reader 50 ms to begin its wait. */
#define _GNU_SOURCE
#include "common.h"
#include <sys/prctl.h>

enum { BATCH = 100 };

static void pipelines(redisContext *c, const char *key, uint64_t count,
                      size_t size, int stamped) {
  xadd *x = calloc(size, sizeof *x);
  if (!x) die("no memory");
  for (uint64_t done = 0; done < count; done += size) {
    if (size > count - done) size = (size_t)(count - done);
    for (size_t i = 0; i < size; i++) {
      xadd_init(&x[i], key, done + i);
      if (stamped) xadd_stamp(&x[i]);
    }
    xadd_pipeline(c, x, size);
  }
  free(x);
}

static void add_one(redisContext *c, xadd *x) {
  freeReplyObject(checked(c, redisCommandArgv(c, XADD_ARGC, x->argv, x->len)));
}

/* A clock that ticks. */
typedef struct pace {
  struct timespec next;
  long ns;
} pace;

static pace pace_new(long ns) {
  pace p = {{0, 0}, ns};
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  clock_gettime(CLOCK_MONOTONIC, &p.next);
  return p;
}

static void pace_wait(pace *p) {
  p->next.tv_nsec += p->ns;
  if (p->next.tv_nsec >= 1000000000) {
    p->next.tv_nsec -= 1000000000;
    p->next.tv_sec++;
  }
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &p->next, NULL);
}

static void ticks(redisContext *c, const char *key, uint64_t count) {
  pace p = pace_new(1000000);
  xadd x;
  for (uint64_t i = 0; i < count; i++) {
    xadd_init(&x, key, i);
    pace_wait(&p);
    xadd_stamp(&x);
    add_one(c, &x);
  }
}

static void rounds(redisContext *c, const char *key, uint64_t count,
                   uint64_t keys) {
  pace p = pace_new(200000);
  char name[128];
  xadd x;
  for (uint64_t i = 0; i < count; i++) {
    snprintf(name, sizeof name, "%s%" PRIu64, key, i % keys + 1);
    xadd_init(&x, name, i);
    pace_wait(&p);
    add_one(c, &x);
  }
}

int main(int argc, char **argv) {
  if (argc < 5) die("writer fill|batches|ticks|rounds PORT KEY COUNT [KEYS]");
  const char *work = argv[1], *key = argv[3];
  uint64_t count = strtoull(argv[4], NULL, 10);
  redisContext *c = connect_to(argv[2]);
  if (!strcmp(work, "fill")) {
    pipelines(c, key, count, PAGE, 0);
  } else {
    nanosleep(&(struct timespec){0, 50000000}, NULL);
    if (!strcmp(work, "batches"))
      pipelines(c, key, count, BATCH, 1);
    else if (!strcmp(work, "ticks"))
      ticks(c, key, count);
    else if (!strcmp(work, "rounds") && argc > 5)
      rounds(c, key, count, strtoull(argv[5], NULL, 10));
    else
      die("what is there to write?");
  }
  redisFree(c);
  return 0;
}
