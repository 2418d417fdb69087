/* How long to look for an answer before sleeping. To wake up takes longer than
 * many an answer, and to wake somebody takes the server's time, too: who looks
 * again and again has it sooner. How long a wait usually takes is learned;
 * where that is long (the server is far, or busy, or what is awaited is
 * somebody's next event), nobody spins. */
#define _GNU_SOURCE
#include "eventlog.h"

#include <sched.h>
#include <unistd.h>

/* Microseconds. Where the server is on this machine, that is more than a unit
 * of 100 entries takes; over a network what is saved is little beside the way.
 */
enum { LONGEST_LOCAL = 400, LONGEST_REMOTE = 100 };

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
  s->adaptive = us < 0 && !lone_processor();
  s->longest = local ? LONGEST_LOCAL : LONGEST_REMOTE;
  s->us = us < 0 ? 0 : us;
  s->usual = LONGEST_REMOTE / 2; /* nothing is known: a lone add's */
}

long evl_spin_begin(const evl_spin *s) {
  if (!s->adaptive) return s->us;
  if (s->usual > s->longest) return 0;
  /* Longer than usual, for waits differ. */
  return (long)(2 * s->usual < s->longest ? 2 * s->usual : s->longest);
}

void evl_spin_end(evl_spin *s, double us) {
  double most = 4 * s->longest; /* so that a few short ones outweigh it */

  s->usual += ((us < most ? us : most) - s->usual) / 8;
}
