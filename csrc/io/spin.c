/* How long to look for an answer before sleeping. To wake up takes longer than
 * many an answer does, and to wake a sleeper takes the server's time, too: a
 * process that looks again and again has the answer sooner. How long a wait
 * usually takes is learned; if that is long (the server is far, or busy, or
 * what is awaited is another writer's next event), the process sleeps at once.
 */
#define _GNU_SOURCE
#include "eventlog.h"

#include <sched.h>
#include <unistd.h>

/* Microseconds. A lone answer takes some 30 on loopback, and a unit of 100
 * entries 200. A longer spin takes more from other processes than it
 * saves. */
enum { LONGEST = 100, LONGEST_UNIT = 400 };

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

void evl_spin_init(evl_spin *s, long us, int local) {
  s->us = us < 0 ? 0 : us;
  s->adaptive = us < 0 && !lone_processor();
  s->lone.longest = LONGEST;
  /* Over a network what is saved is little beside the way. */
  s->unit.longest = local ? LONGEST_UNIT : LONGEST;
  s->lone.usual = s->unit.usual = LONGEST / 2; /* nothing is known yet */
}

long evl_spin_begin(const evl_spin *s, int unit) {
  const evl_waits *waits = unit ? &s->unit : &s->lone;

  if (!s->adaptive) return s->us;
  if (waits->usual > waits->longest) return 0;
  /* Longer than usual, for waits differ. */
  return (long)(2 * waits->usual < waits->longest ? 2 * waits->usual
                                                  : waits->longest);
}

void evl_spin_end(evl_spin *s, int unit, double us) {
  evl_waits *waits = unit ? &s->unit : &s->lone;
  double most = 4 * waits->longest; /* so that a few short ones outweigh it */

  waits->usual += ((us < most ? us : most) - waits->usual) / 8;
}
