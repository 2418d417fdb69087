/* How long to look for an answer before sleeping. Waking up takes longer than
 * many an answer: who looks again and again for a few tens of microseconds has
 * it sooner. Where that does not pay (the server is far, or busy, or the waits
 * are long), it stops by itself, and tries again now and then. */
#define _GNU_SOURCE
#include "eventlog.h"

#include <sched.h>
#include <unistd.h>

enum {
  ADAPTIVE_US = 60, /* longer than a lone add takes on loopback */
  FULL_CREDIT = 16, /* of one for each spin that paid */
  FAILURE_COST = 8, /* how much of it one that did not pay takes */
  PAUSE = 64        /* waits without a spin, where no credit is left */
};

/* On a lone processor spinning keeps the server from answering. */
static int lone_processor(void) {
#ifdef CPU_COUNT
  cpu_set_t mine;

  CPU_ZERO(&mine);
  if (sched_getaffinity(0, sizeof mine, &mine) == 0)
    return CPU_COUNT(&mine) == 1;
#endif
  return sysconf(_SC_NPROCESSORS_ONLN) == 1;
}

void evl_spin_init(evl_spin *s, long us) {
  s->adaptive = us < 0;
  s->us = s->adaptive ? ADAPTIVE_US : us;
  if (s->adaptive && lone_processor()) s->us = 0;
  s->credit = FULL_CREDIT;
  s->pause = 0;
}

long evl_spin_begin(evl_spin *s) {
  if (s->pause == 0) return s->us;
  s->pause--;
  return 0;
}

void evl_spin_end(evl_spin *s, int paid) {
  if (!s->adaptive) return;
  s->credit += paid ? 1 : -FAILURE_COST;
  if (s->credit > FULL_CREDIT) s->credit = FULL_CREDIT;
  if (s->credit > 0) return;
  s->credit = 1; /* the next one decides */
  s->pause = PAUSE;
}
